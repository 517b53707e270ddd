import type { EpochRecord } from "../log/epoch_record.js";
import type { RunControls } from "./controls.js";
import type { RunResult } from "./run_setup.js";

/**
 * A training run that goes on: the promise of its result, and, for those who iterate over it, its epochs as they end. An
 * iteration begins with the first epoch that this call makes and fails where the run fails; leaving it early leaves the
 * run going.
 *
 * @example
 * ```ts
 * const run = distill({ teacher, student, data, validation });
 * for await (const { epoch, metrics } of run) console.log(epoch, metrics.loss, metrics.validationAccuracy);
 * const { best } = await run;
 * ```
 */
export class Training implements Promise<RunResult>, AsyncIterable<EpochRecord> {
  readonly [Symbol.toStringTag] = "Training";
  // biome-ignore lint/suspicious/noThenProperty: it is a promise.
  readonly then: Promise<RunResult>["then"];
  readonly catch: Promise<RunResult>["catch"];
  readonly finally: Promise<RunResult>["finally"];
  readonly #result: Promise<RunResult>;
  readonly #epochs: EpochRecord[] = [];
  #ended = false;
  #wake: () => void = () => {};
  #more!: Promise<void>;

  private constructor(start: (tell: (record: EpochRecord) => void) => Promise<RunResult>) {
    this.#wait();
    const tell = (record: EpochRecord) => {
      this.#epochs.push(record);
      this.#news();
    };
    const result = start(tell).finally(() => {
      this.#ended = true;
      this.#news();
    });
    this.#result = result;
    // biome-ignore lint/suspicious/noThenProperty: it is a promise.
    this.then = result.then.bind(result);
    this.catch = result.catch.bind(result);
    this.finally = result.finally.bind(result);
  }

  /** Starts `body` with its input, which tells of the epochs here too. @internal */
  static start<I extends RunControls>(input: I, body: (input: I) => Promise<RunResult>): Training {
    return new Training((tell) => {
      const onEpoch = (record: EpochRecord) => {
        tell(record);
        return input.onEpoch?.(record);
      };
      return body({ ...input, onEpoch });
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<EpochRecord, void> {
    // The iteration tells of a failure: it is not one that nobody handles.
    this.#result.catch(() => {});
    for (let i = 0; ; i++) {
      while (i >= this.#epochs.length && !this.#ended) await this.#more;
      if (i >= this.#epochs.length) break;
      yield this.#epochs[i] as EpochRecord;
    }
    await this.#result;
  }

  #wait(): void {
    this.#more = new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #news(): void {
    const wake = this.#wake;
    this.#wait();
    wake();
  }
}
