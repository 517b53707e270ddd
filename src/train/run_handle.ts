import type { EpochRecord } from "../log/epoch_record.js";
import { currentGenerator, Generator } from "../tensor/random.js";
import type { RunControls, RunResult } from "./controls.js";

/**
 * A run: the promise of its result and, iterated over, its epochs as they end. An iteration begins with the first epoch
 * that this call makes and throws if the run fails; leaving it early leaves the run going.
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

/** Starts a run, whose random stream begins where the current one is now. */
export function startRun<I extends RunControls>(
  input: I,
  body: (input: I, stream: RunStream) => Promise<RunResult>,
): RunHandle {
  const origin = currentGenerator();
  const stream = { origin, generator: new Generator().copyFrom(origin) };
  const epochs: EpochRecord[] = [];
  let isEnded = false;
  let wake = () => {};
  let news = new Promise<void>((resolve) => {
    wake = resolve;
  });
  const announce = () => {
    const wakeAll = wake;
    news = new Promise((resolve) => {
      wake = resolve;
    });
    wakeAll();
  };
  const onEpoch = (record: EpochRecord) => {
    epochs.push(record);
    announce();
    return input.onEpoch?.(record);
  };
  const result = body({ ...input, onEpoch }, stream).finally(() => {
    isEnded = true;
    announce();
  });
  return Object.assign(result, {
    async *[Symbol.asyncIterator](): AsyncGenerator<EpochRecord, void> {
      // The iteration throws the failure: it is not unhandled.
      result.catch(() => {});
      for (let i = 0; ; i++) {
        while (i >= epochs.length && !isEnded) await news;
        if (i >= epochs.length) break;
        yield epochs[i];
      }
      await result;
    },
  });
}
