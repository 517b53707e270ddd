import type { EpochBatches } from "../data/loader.js";
import { DistilleryError } from "../errors.js";
import type { Metrics } from "../log/epoch_record.js";
import { expectMetricName } from "../losses/metric_name.js";
import type { Modes } from "../nn/modes.js";
import { inPrecision, type Precision } from "../tensor/precision.js";
import { withGenerator } from "../tensor/random.js";
import { TensorArena } from "../tensor/step.js";
import { fromUserCode } from "../user_code.js";
import { changed, type Layout } from "./module_layout.js";
import type { RunStream } from "./run_handle.js";

/** What a step needs. */
interface StepInput {
  epoch: EpochBatches;
  index: number;
  /** The metrics of the epoch's previous steps; null in the first one. */
  known: readonly string[] | null;
  /** The position in the run, for errors. */
  place: () => string;
  /** What all steps share. */
  run: { accumulate: number; modes: Modes; stream: RunStream; precision: Precision; layout: Layout };
}

/**
 * One batch of a run: its parts run in the run's modes and precision, with the run's random stream and an arena of
 * their own.
 */
export class Step {
  readonly epoch: EpochBatches;
  /** The index of the batch in the epoch. */
  readonly index: number;
  /** Of its loss, by name. */
  metrics: Metrics = {};
  gradNorm = Number.NaN;
  /** The number of batches in the optimizer step that this one belongs to. */
  readonly groupSize: number;
  readonly isFirstOfGroup: boolean;
  readonly isLastOfGroup: boolean;
  readonly #arena = new TensorArena();

  constructor(private readonly of: StepInput) {
    const { epoch, index, run } = of;
    const { accumulate } = run;
    const start = index - (index % accumulate);
    this.epoch = epoch;
    this.index = index;
    this.groupSize = Math.min(accumulate, epoch.length - start);
    this.isFirstOfGroup = index === start;
    this.isLastOfGroup = index === start + this.groupSize - 1;
  }

  /** Runs a part of the step; its arrays are valid until the step ends. */
  run<T>(body: () => T): T {
    const { stream, modes, precision } = this.of.run;
    try {
      const inStream = () => withGenerator(stream.generator, body);
      return this.#arena.run(() => modes.run(() => inPrecision(precision, inStream)));
    } catch (error) {
      throw this.#located(error);
    }
  }

  /** Waits for something that the step needs. */
  async arrival<T>(promise: Promise<T>): Promise<T> {
    try {
      return await promise;
    } catch (error) {
      throw this.#located(error);
    }
  }

  /**
   * Records the loss and the numbers that it reports. `NON_FINITE` if one is not finite; `BAD_ARGUMENT` if their names
   * differ from those of the epoch's previous steps, since their means over the steps are logged.
   */
  report(loss: number, metrics: Metrics): void {
    const { known } = this.of;
    for (const [name, value] of Object.entries(metrics)) {
      if (!known?.includes(name)) expectMetricName("the name of a loss's metric", name);
      expectFiniteLoss(`metric ${name}`, value);
    }
    const all: Metrics = { loss, ...metrics };
    const missing = known?.find((name) => !Object.hasOwn(all, name));
    const added = known && Object.keys(all).find((name) => !known.includes(name));
    const name = missing ?? added ?? null;
    if (name !== null) {
      const text = `metric ${name}: expected in every step of an epoch: ${name === missing ? "this one lacks" : "the ones before lack"} it`;
      throw new DistilleryError("BAD_ARGUMENT", text);
    }
    this.metrics = all;
  }

  release(): void {
    this.#arena.release();
  }

  /** Adds the position in the run to an error. */
  #located(error: unknown): unknown {
    const place = this.of.place();
    const change = this.of.run.layout.change();
    if (change !== null) return changed(`${place}: ${change}`, error);
    if (!(error instanceof DistilleryError)) return fromUserCode(error, place) ?? error;
    return new DistilleryError(error.code, `${place}: ${error.message}`, { cause: error });
  }
}

/** Refuses NaN and infinity before they reach the weights. */
export function expectFiniteLoss(name: string, value: number): number {
  if (Number.isFinite(value)) return value;
  throw new DistilleryError("NON_FINITE", `${name}: is not finite (got ${value}): lower the learning rate`);
}
