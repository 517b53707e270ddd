import {
  argumentError,
  expectAtLeast0,
  expectFraction,
  expectInteger,
  expectList,
  expectOptions,
  show,
} from "../checks.js";
import { DefinedLR, type Rate } from "./defined_lr.js";
import { badState, expectOneEach, expectOptimizer, LRScheduler, type SchedulerAttribute } from "./lr_scheduler.js";
import type { Optimizer } from "./optimizer.js";
import {
  annealCosine,
  expectSchedule,
  exponentialSchedule,
  GAMMA,
  linearSchedule,
  multiStepSchedule,
  POLYNOMIAL_DEFAULTS,
  polynomialSchedule,
  type Schedule,
  stepSchedule,
} from "./schedules.js";
import { dictField } from "./state_dict.js";

/**
 * Times `gamma`, by default 0.1, every `stepSize` calls of `step()`: `torch.optim.lr_scheduler.StepLR`.
 *
 * @example
 * ```ts
 * const scheduler = new StepLR(optimizer, { stepSize: 30, gamma: 0.1 });
 * ```
 */
export class StepLR extends DefinedLR<{ stepSize: number; gamma?: number }> {
  constructor(optimizer: Optimizer, options: { stepSize: number; gamma?: number }) {
    super(optimizer, options, {
      keys: { stepSize: "step_size", gamma: "gamma" },
      defaults: { gamma: GAMMA },
      rate: ({ stepSize, gamma }) => times(stepSchedule({ stepSize: expectInteger("stepSize", stepSize, 1), gamma })),
    });
  }
}

/**
 * Times `gamma`, by default 0.1, at each of the milestones, which count calls of `step()`:
 * `torch.optim.lr_scheduler.MultiStepLR`.
 *
 * @example
 * ```ts
 * const scheduler = new MultiStepLR(optimizer, { milestones: [150, 180, 210] });
 * ```
 */
export class MultiStepLR extends DefinedLR<{ milestones: readonly number[]; gamma?: number }> {
  constructor(optimizer: Optimizer, options: { milestones: readonly number[]; gamma?: number }) {
    super(optimizer, options, {
      keys: { milestones: "milestones", gamma: "gamma" },
      defaults: { gamma: GAMMA },
      rate: ({ milestones, gamma }) => {
        for (const [i, step] of expectList("milestones", milestones).entries()) {
          expectInteger(`milestones[${i}]`, step, 0);
        }
        return times(multiStepSchedule({ milestones, gamma }));
      },
    });
  }
}

/**
 * Times `gamma` at each call of `step()`: `torch.optim.lr_scheduler.ExponentialLR`.
 *
 * @example
 * ```ts
 * const scheduler = new ExponentialLR(optimizer, { gamma: 0.95 });
 * ```
 */
export class ExponentialLR extends DefinedLR<{ gamma: number }> {
  constructor(optimizer: Optimizer, options: { gamma: number }) {
    super(optimizer, options, {
      keys: { gamma: "gamma" },
      defaults: {},
      rate: (all) => times(exponentialSchedule(all)),
    });
  }
}

/**
 * Half a cosine down to `etaMin`, by default 0, over `tMax` calls of `step()`, and then up again:
 * `torch.optim.lr_scheduler.CosineAnnealingLR`.
 *
 * @example
 * ```ts
 * const scheduler = new CosineAnnealingLR(optimizer, { tMax: 150, etaMin: 1e-6 });
 * ```
 */
export class CosineAnnealingLR extends DefinedLR<{ tMax: number; etaMin?: number }> {
  constructor(optimizer: Optimizer, options: { tMax: number; etaMin?: number }) {
    super(optimizer, options, {
      keys: { tMax: "T_max", etaMin: "eta_min" },
      defaults: { etaMin: 0 },
      rate: ({ tMax, etaMin }) => {
        expectInteger("tMax", tMax, 1);
        expectAtLeast0("etaMin", etaMin);
        return { factor: (step) => annealCosine(1, 0, step / tMax), floor: etaMin };
      },
    });
  }
}

/** The options of {@link LinearLR}. */
export interface LinearLROptions {
  /** The factor at the start; default 1/3. */
  startFactor?: number;
  /** The factor at the end; default 1. */
  endFactor?: number;
  /** How many calls of `step()` there are between the two; default 5. */
  totalIters?: number;
}

/**
 * A factor on the rate along a straight line, and its end from then on: `torch.optim.lr_scheduler.LinearLR`.
 *
 * @example
 * ```ts
 * const scheduler = new LinearLR(optimizer, { startFactor: 0.1, totalIters: 500 });
 * ```
 */
export class LinearLR extends DefinedLR<LinearLROptions> {
  constructor(optimizer: Optimizer, options: LinearLROptions = {}) {
    super(optimizer, options, {
      keys: { startFactor: "start_factor", endFactor: "end_factor", totalIters: "total_iters" },
      defaults: { startFactor: 1 / 3, endFactor: 1, totalIters: 5 },
      rate: ({ startFactor, endFactor, totalIters }) => {
        expectInteger("totalIters", totalIters, 1);
        expectAtLeast0("startFactor", startFactor);
        expectAtLeast0("endFactor", endFactor);
        const schedule = linearSchedule({ start: startFactor, end: endFactor });
        return { factor: (step) => schedule(Math.min(step, totalIters), totalIters) };
      },
    });
  }
}

/**
 * A factor on the rate, by default 1/3, for the first `totalIters` calls of `step()`, by default 5:
 * `torch.optim.lr_scheduler.ConstantLR`.
 *
 * @example
 * ```ts
 * const scheduler = new ConstantLR(optimizer, { factor: 0.1, totalIters: 10 });
 * ```
 */
export class ConstantLR extends DefinedLR<{ factor?: number; totalIters?: number }> {
  constructor(optimizer: Optimizer, options: { factor?: number; totalIters?: number } = {}) {
    super(optimizer, options, {
      keys: { factor: "factor", totalIters: "total_iters" },
      defaults: { factor: 1 / 3, totalIters: 5 },
      rate: ({ factor, totalIters }) => {
        expectFraction("factor", factor);
        expectInteger("totalIters", totalIters, 0);
        if (totalIters === 0 && factor !== 1) {
          // PyTorch keeps the factor for ever, or within SequentialLR never applies it.
          throw argumentError("totalIters", `expected at least 1 call of step() for the factor ${factor}, got 0`);
        }
        return { factor: (step) => (step < totalIters ? factor : 1) };
      },
    });
  }
}

/** The options of {@link PolynomialLR}. */
export interface PolynomialLROptions {
  /** How many calls of `step()` the rate falls over; default 5. */
  totalIters?: number;
  /** Default 1: a straight line. */
  power?: number;
}

/**
 * Times (1 - step / `totalIters`) to the power `power`, down to 0: `torch.optim.lr_scheduler.PolynomialLR`.
 *
 * @example
 * ```ts
 * const scheduler = new PolynomialLR(optimizer, { totalIters: 30_000, power: 0.9 });
 * ```
 */
export class PolynomialLR extends DefinedLR<PolynomialLROptions> {
  constructor(optimizer: Optimizer, options: PolynomialLROptions = {}) {
    super(optimizer, options, {
      keys: { totalIters: "total_iters", power: "power" },
      defaults: { totalIters: 5, power: POLYNOMIAL_DEFAULTS.power },
      rate: ({ totalIters, power }) => {
        expectInteger("totalIters", totalIters, 1);
        const schedule = polynomialSchedule({ power });
        return { factor: (step) => schedule(Math.min(step, totalIters), totalIters) };
      },
    });
  }
}

/** The options of {@link LambdaLR}. */
export interface LambdaLROptions {
  /** For all groups, or one for each. */
  schedule: Schedule | readonly Schedule[];
  /** The last step that the schedule gets. */
  totalSteps: number;
}

/**
 * The rate times a {@link Schedule}: `torch.optim.lr_scheduler.LambdaLR` of a known length. Call `step()` after each
 * `optimizer.step()`.
 *
 * @throws DistilleryError `BAD_ARGUMENT` if a schedule gives anything but a number of at least 0.
 * @example
 * ```ts
 * const optimizer = new AdamW(student.parameters(), { lr: 6e-4 });
 * const scheduler = new LambdaLR(optimizer, { schedule: warmup(0.05, cosineSchedule()), totalSteps: 12 * loader.length });
 * ```
 */
export class LambdaLR extends LRScheduler {
  readonly #schedules: readonly Schedule[];
  readonly #totalSteps: number;

  constructor(optimizer: Optimizer, options: LambdaLROptions) {
    expectOptimizer(optimizer);
    expectOptions("options", options, ["schedule", "totalSteps"]);
    const { schedule } = options;
    const isList = Array.isArray(schedule);
    if (isList) expectOneEach("schedule", schedule, optimizer);
    const schedules = optimizer.paramGroups.map((_, i) =>
      isList ? expectSchedule(`schedule[${i}]`, schedule[i]) : expectSchedule("schedule", schedule),
    );
    const totalSteps = expectInteger("totalSteps", options.totalSteps, 1);
    super(optimizer);
    this.#schedules = schedules;
    this.#totalSteps = totalSteps;
    this.moveTo(0);
  }

  override get totalSteps(): number {
    return this.#totalSteps;
  }

  /** The schedules themselves stay. */
  override loadStateDict(state: unknown): this {
    const lambdas = dictField(state, "lr_lambdas");
    const groups = this.optimizer.paramGroups.length;
    if (!Array.isArray(lambdas) || lambdas.length !== groups) {
      const got = Array.isArray(lambdas) ? lambdas.length : show(lambdas);
      throw badState(`lr_lambdas: expected one for each parameter group, ${groups}, got ${got}`);
    }
    return Object.assign(this, this.readPlace(state));
  }

  protected override lrAt(step: number, baseLr: number, group: number): number {
    const factor = (this.#schedules[group] ?? this.#schedules[0])(step, this.totalSteps);
    return baseLr * expectAtLeast0(`schedule(${step}, ${this.totalSteps})`, factor);
  }

  protected override attributes(): Record<string, SchedulerAttribute> {
    return { lr_lambdas: this.optimizer.paramGroups.map(() => null) };
  }
}

function times(schedule: Schedule): Rate {
  return { factor: (step) => schedule(step, Number.POSITIVE_INFINITY) };
}
