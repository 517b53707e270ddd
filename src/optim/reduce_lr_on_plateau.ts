import {
  badArgument,
  expectAtLeast0,
  expectFractionBelow1,
  expectInteger,
  expectOneOf,
  type Optional,
  optionsOf,
} from "../checks.js";
import { badState, expectOneEach, expectOptimizer, type SchedulerAttribute } from "./lr_scheduler.js";
import type { Optimizer } from "./optimizer.js";
import { dictField } from "./state_dict.js";

/** The options of {@link ReduceLROnPlateau}, with PyTorch's defaults. */
export interface ReduceLROnPlateauOptions {
  /** Whether smaller or larger figures are better; default "min". */
  mode?: "min" | "max";
  /** Times the rate if the figure stays; default 0.1. */
  factor?: number;
  /** How many steps without an improvement are tolerated; default 10. */
  patience?: number;
  /** How much better than the best one a figure has to be; default 1e-4. */
  threshold?: number;
  /** Whether `threshold` is a part of the best figure or a difference from it; default "rel". */
  thresholdMode?: "rel" | "abs";
  /** How many steps after a reduction are not counted; default 0. */
  cooldown?: number;
  /** The least rate, for all groups or one for each; default 0. */
  minLr?: number | readonly number[];
  /** A smaller change of a rate is not made; default 1e-8. */
  eps?: number;
}

type Options = Required<ReduceLROnPlateauOptions>;

const DEFAULTS: Options = {
  mode: "min",
  factor: 0.1,
  patience: 10,
  threshold: 1e-4,
  thresholdMode: "rel",
  cooldown: 0,
  minLr: 0,
  eps: 1e-8,
};

interface Place {
  readonly lastEpoch: number;
  readonly best: number;
  readonly cooldownCounter: number;
  readonly numBadEpochs: number;
}

/**
 * Lowers the learning rate when a metric, such as the validation loss, has stopped improving:
 * `torch.optim.lr_scheduler.ReduceLROnPlateau`, for your own loops. It is not a function of the step, so `distill` does
 * not take it as its schedule.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for options that are unknown or out of range.
 * @example
 * ```ts
 * const scheduler = new ReduceLROnPlateau(optimizer, { mode: "max", patience: 3 });
 * for (let epoch = 0; epoch < 30; epoch++) scheduler.step(trainAndValidate());
 * ```
 */
export class ReduceLROnPlateau {
  readonly optimizer: Optimizer;
  #options: Options;
  #place: Place;

  constructor(optimizer: Optimizer, options: ReduceLROnPlateauOptions = {}) {
    expectOptimizer(optimizer);
    this.optimizer = optimizer;
    this.#options = this.#checked(optionsOf("options", DEFAULTS, options as Optional<Options>));
    this.#place = { lastEpoch: 0, best: worst(this.#options.mode), cooldownCounter: 0, numBadEpochs: 0 };
  }

  /** Takes the figure of an epoch; one that is NaN is no improvement, as in PyTorch. */
  step(metric: number): void {
    if (typeof metric !== "number") throw badArgument("metric", "a number", metric);
    const { patience, cooldown } = this.#options;
    let { best, cooldownCounter, numBadEpochs } = this.#place;
    numBadEpochs += 1;
    if (this.#isBetter(metric)) {
      best = metric;
      numBadEpochs = 0;
    }
    if (cooldownCounter > 0) {
      cooldownCounter -= 1;
      numBadEpochs = 0;
    }
    if (numBadEpochs > patience) {
      this.#reduce();
      cooldownCounter = cooldown;
      numBadEpochs = 0;
    }
    this.#place = { lastEpoch: this.#place.lastEpoch + 1, best, cooldownCounter, numBadEpochs };
  }

  /** The learning rate of each group. */
  getLastLr(): number[] {
    return this.optimizer.paramGroups.map(({ lr }) => lr);
  }

  /** The options and the place in PyTorch's structure: the scheduler of this name in PyTorch loads it and continues. */
  stateDict(): Record<string, SchedulerAttribute> {
    const { mode, factor, patience, threshold, thresholdMode, cooldown, minLr, eps } = this.#options;
    const { lastEpoch, best, cooldownCounter, numBadEpochs } = this.#place;
    return {
      factor,
      default_min_lr: typeof minLr === "number" ? minLr : null,
      min_lrs: this.#minLrs(),
      patience,
      cooldown,
      eps,
      last_epoch: lastEpoch,
      _last_lr: this.getLastLr(),
      mode_worse: worst(mode),
      mode,
      threshold,
      threshold_mode: thresholdMode,
      best,
      cooldown_counter: cooldownCounter,
      num_bad_epochs: numBadEpochs,
    };
  }

  /**
   * Takes over a state dict, of this class or of PyTorch's. The rates come with the optimizer's state dict: load both.
   *
   * @throws DistilleryError `STATE_DICT_MISMATCH` for one of another scheduler, `BAD_ARGUMENT` for values out of range.
   */
  loadStateDict(state: unknown): this {
    const field = (key: string): unknown => {
      const value = dictField(state, key);
      if (value === undefined) throw badState(`${key}: expected that of a ReduceLROnPlateau, got undefined`);
      return value;
    };
    const count = (key: string) => expectInteger(key, field(key), 0);
    const best = field("best");
    if (typeof best !== "number") throw badState(`best: expected a number, got ${String(best)}`);
    const options = this.#checked({
      mode: field("mode"),
      factor: field("factor"),
      patience: field("patience"),
      threshold: field("threshold"),
      thresholdMode: field("threshold_mode"),
      cooldown: field("cooldown"),
      // Files of older versions have the list alone.
      minLr: dictField(state, "default_min_lr") ?? field("min_lrs"),
      eps: field("eps"),
    } as Options);
    this.#place = {
      lastEpoch: count("last_epoch"),
      best,
      cooldownCounter: count("cooldown_counter"),
      numBadEpochs: count("num_bad_epochs"),
    };
    this.#options = options;
    return this;
  }

  #isBetter(metric: number): boolean {
    const { mode, threshold, thresholdMode } = this.#options;
    const { best } = this.#place;
    const sign = mode === "min" ? -1 : 1;
    const bound = thresholdMode === "rel" ? best * (1 + sign * threshold) : best + sign * threshold;
    return mode === "min" ? metric < bound : metric > bound;
  }

  #reduce(): void {
    const { factor, eps } = this.#options;
    const least = this.#minLrs();
    for (const [i, group] of this.optimizer.paramGroups.entries()) {
      const lr = Math.max(group.lr * factor, least[i]);
      if (group.lr - lr > eps) group.lr = lr;
    }
  }

  #minLrs(): readonly number[] {
    const { minLr } = this.#options;
    if (typeof minLr === "number") return this.optimizer.paramGroups.map(() => minLr);
    // A group may have been added since.
    expectOneEach("minLr", minLr, this.optimizer);
    return minLr;
  }

  #checked(options: Options): Options {
    const { mode, factor, patience, threshold, thresholdMode, cooldown, minLr, eps } = options;
    expectOneOf("mode", mode, ["min", "max"]);
    expectFractionBelow1("factor", factor);
    expectInteger("patience", patience, 0);
    expectAtLeast0("threshold", threshold);
    expectOneOf("thresholdMode", thresholdMode, ["rel", "abs"]);
    expectInteger("cooldown", cooldown, 0);
    expectAtLeast0("eps", eps);
    if (!Array.isArray(minLr)) return { ...options, minLr: expectAtLeast0("minLr", minLr) };
    expectOneEach("minLr", minLr, this.optimizer);
    return { ...options, minLr: minLr.map((lr, i) => expectAtLeast0(`minLr[${i}]`, lr)) };
  }
}

function worst(mode: "min" | "max"): number {
  return mode === "min" ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
}
