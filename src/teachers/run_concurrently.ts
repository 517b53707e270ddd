import { setImmediate } from "node:timers/promises";
import { DistilleryError } from "../errors.js";

/**
 * Runs `work` for each item, up to `concurrency` at once, in order. After a failure no further one is started; those
 * that are running end first, so that their results are kept.
 */
export async function runConcurrently<T>(
  items: readonly T[],
  concurrency: number,
  signal: AbortSignal,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failure: { error: unknown } | null = null;
  const worker = async () => {
    while (next < items.length && failure === null && !signal.aborted) {
      const item = items[next++];
      await setImmediate();
      if (signal.aborted) return;
      await work(item).catch((error: unknown) => {
        failure ??= { error };
      });
    }
  };
  const all = Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, worker));
  await unlessStopped(all, signal);
  expectGoing(signal);
  const { error } = (failure ?? {}) as { error?: unknown };
  if (failure !== null) throw error;
}

/** What a promise gives, or `ABORTED` as soon as the signal is aborted. */
export function unlessStopped<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(stopped());
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** Refuses to go on once the signal is aborted. */
export function expectGoing(signal: AbortSignal): void {
  if (signal.aborted) throw stopped();
}

const stopped = () => new DistilleryError("ABORTED", "stopped while the teacher was asked");
