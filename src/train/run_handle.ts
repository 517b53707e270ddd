import { expectObject } from "../checks.js";
import { DistilleryError, isAbort } from "../errors.js";
import type { EpochRecord } from "../log/epoch_record.js";
import { PendingCallbacks } from "../pending_callbacks.js";
import { currentGenerator, Generator } from "../tensor/random.js";
import { checkControls, expectFolder, RUN_CONTROLS, type RunControls, type RunResult } from "./controls.js";

/**
 * A run: the promise of its result and, as an async iterable, its epochs as they end. Iteration starts with the first
 * epoch of this call, and throws if the run fails. Leaving the loop early stops the run after its current step and
 * saves it, as a signal does; the promise then rejects with `ABORTED`. To let a run continue, await it instead. The
 * run's own callbacks can't await it, because it awaits them: they stop it through its `signal`.
 *
 * @example
 * ```ts
 * const run = distill({ teacher, student, data, validation });
 * for await (const { epoch, metrics } of run) console.log(epoch, metrics.loss, metrics.validationAccuracy);
 * const { best } = await run;
 * ```
 */
export type RunHandle = Promise<RunResult> & AsyncIterable<EpochRecord>;

/**
 * The random stream of a run: its own, and the caller's, from which it was copied and which continues where the run's
 * ends.
 */
export interface RunStream {
  readonly generator: Generator;
  readonly origin: Generator;
}

/** Of all runs, including those that have ended. */
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
  // Passed to teachers too: aborted by the caller's signal, when the loop over the epochs is left, and when the run
  // ends.
  const stop = new AbortController();
  let loops = 0;
  const epochs: EpochRecord[] = [];
  let isEnded = false;
  /** Ends the waits of loops over the epochs. */
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
      // The iteration throws the failure, so it does not count as unhandled.
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

/** Aborts a controller when a signal is aborted, until the returned function is called. */
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
