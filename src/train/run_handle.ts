import { expectObject } from "../checks.js";
import { DistilleryError, isAbort } from "../errors.js";
import type { EpochRecord } from "../log/epoch_record.js";
import { PendingCallbacks } from "../pending_callbacks.js";
import { currentGenerator, Generator } from "../tensor/random.js";
import { checkControls, expectFolder, RUN_CONTROLS, type RunControls, type RunResult } from "./controls.js";

/**
 * A run: the promise of its result and, iterated over, its epochs as they end. An iteration begins with the first epoch
 * that this call makes and throws if the run fails. Leaving the loop early stops the run after its step, saved as by a
 * signal; the promise then rejects with `ABORTED`. A run that is to go on is awaited instead. Its own callbacks can't
 * wait for it, as it waits for them: they stop it by its `signal`.
 *
 * @example
 * ```ts
 * const run = distill({ teacher, student, data, validation });
 * for await (const { epoch, metrics } of run) console.log(epoch, metrics.loss, metrics.validationAccuracy);
 * const { best } = await run;
 * ```
 */
export type RunHandle = Promise<RunResult> & AsyncIterable<EpochRecord>;

/** The random stream of a run: its own, and the caller's that it was copied from and that continues where it ends. */
export interface RunStream {
  readonly generator: Generator;
  readonly origin: Generator;
}

/** Of all runs, also of those that have ended. */
const STREAMS = new WeakSet<Generator>();

/** Starts a run, whose random stream begins where the current one is now. */
export function startRun<I extends RunControls>(
  input: I,
  body: (input: I, stream: RunStream) => Promise<RunResult>,
): RunHandle {
  const origin = currentGenerator();
  const stream = { origin, generator: new Generator().copyFrom(origin) };
  const isInside = STREAMS.has(origin);
  STREAMS.add(stream.generator);
  const answers = new PendingCallbacks();
  // Also for teachers: aborted by the caller's signal, if the loop over the epochs is left, and as the run ends.
  const stop = new AbortController();
  let loops = 0;
  const epochs: EpochRecord[] = [];
  let isEnded = false;
  /** Ends the waits of the loops over the epochs. */
  const waits: (() => void)[] = [];
  const announce = () => {
    for (const end of waits.splice(0)) end();
  };
  const onEpoch = (record: EpochRecord) => {
    epochs.push(record);
    announce();
    return input.onEpoch?.(record);
  };
  const run = async () => {
    try {
      if (isInside) throw nested();
      expectObject("options", input);
      checkControls<RunControls>(input, RUN_CONTROLS);
      expectFolder(input);
      const letGo = follow(input.signal, stop);
      const watched = { onEpoch, onNote: answers.of(input.onNote), onWork: answers.of(input.onWork) };
      const result = await body({ ...input, ...watched, signal: stop.signal }, stream).finally(letGo);
      await answers.settled();
      return result;
    } finally {
      stop.abort();
      isEnded = true;
      announce();
    }
  };
  const result = run();
  return Object.assign(result, {
    async *[Symbol.asyncIterator](): AsyncGenerator<EpochRecord, void> {
      // The iteration throws the failure: it is not unhandled.
      result.catch(() => {});
      loops += 1;
      let isOver = false;
      try {
        for (let i = 0; ; i++) {
          while (i >= epochs.length && !isEnded) await new Promise<void>((resolve) => waits.push(resolve));
          if (i >= epochs.length) break;
          yield epochs[i];
        }
        isOver = true;
      } finally {
        loops -= 1;
        // Another loop over the same run continues.
        if (!isOver && loops === 0) {
          stop.abort();
          await result.catch(throwUnlessStopped);
        }
      }
      await result;
    },
  });
}

/** Aborts a controller as a signal is, until what it gives is called. */
function follow(signal: AbortSignal | undefined, controller: AbortController): () => void {
  const abort = () => controller.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort);
  return () => signal?.removeEventListener("abort", abort);
}

function throwUnlessStopped(error: unknown): void {
  if (!isAbort(error)) throw error;
}

function nested(): DistilleryError {
  const text = "a run was started inside of a step of another run, from whose random numbers it would draw";
  return new DistilleryError("BAD_ARGUMENT", `${text}: start it in onEpoch, or before the run`);
}
