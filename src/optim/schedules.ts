import { badArgument, expectAtLeast0, expectInteger, expectNumber, expectPositive, optionsOf } from "../checks.js";

/**
 * A learning rate schedule: the factor on the base rate at a step of a run, from 0 (before the first step) to `steps`
 * (after the last one). Any function of this form is a schedule; as in optax, schedules are composed by calling each
 * other.
 *
 * @example
 * ```ts
 * const inverseRoot: Schedule = (step) => 1 / Math.sqrt(1 + step);
 * const scheduler = new LambdaLR(optimizer, { schedule: warmup(100, inverseRoot), totalSteps: 1000 });
 * ```
 */
export type Schedule = (step: number, steps: number) => number;

/** What each step and milestone multiplies the rate with by default. */
export const GAMMA = 0.1;
export const COSINE_DEFAULTS = { end: 0 } as const;
export const LINEAR_DEFAULTS = { start: 1, end: 0 } as const;
export const POLYNOMIAL_DEFAULTS = { power: 1 } as const;
export const RESTARTS_DEFAULTS = { tMult: 1, end: 0 } as const;

/**
 * The base rate all the way.
 *
 * @example
 * ```ts
 * constantSchedule()(7, 10); // 1
 * ```
 */
export function constantSchedule(): Schedule {
  return () => 1;
}

/**
 * Half a cosine from 1 down to `end`, by default 0 (Loshchilov and Hutter, 2017): {@link CosineAnnealingLR} with `tMax`
 * the steps of the run.
 *
 * @example
 * ```ts
 * const schedule = cosineSchedule({ end: 0.1 });
 * [schedule(0, 10), schedule(5, 10), schedule(10, 10)]; // [1, 0.55, 0.1]
 * ```
 */
export function cosineSchedule(options: { end?: number } = {}): Schedule {
  const { end } = optionsOf("options", COSINE_DEFAULTS, options);
  expectAtLeast0("end", end);
  return (step, steps) => annealCosine(1, end, step / steps);
}

/**
 * A straight line from `start`, by default 1, to `end`, by default 0: {@link LinearLR} with `totalIters` the steps of
 * the run.
 *
 * @example
 * ```ts
 * const schedule = linearSchedule({ end: 0.5 });
 * [schedule(0, 10), schedule(5, 10), schedule(10, 10)]; // [1, 0.75, 0.5]
 * ```
 */
export function linearSchedule(options: { start?: number; end?: number } = {}): Schedule {
  const { start, end } = optionsOf("options", LINEAR_DEFAULTS, options);
  expectAtLeast0("start", start);
  expectAtLeast0("end", end);
  // The end itself: the sum may come out a rounding error beside it, and below 0.
  return (step, steps) => (step === steps ? end : start + ((end - start) * step) / steps);
}

/**
 * (1 - step / steps) to the power `power`, by default 1, a straight line to 0: {@link PolynomialLR} with `totalIters`
 * the steps of the run.
 *
 * @example
 * ```ts
 * polynomialSchedule({ power: 2 })(5, 10); // 0.25
 * ```
 */
export function polynomialSchedule(options: { power?: number } = {}): Schedule {
  const { power } = optionsOf("options", POLYNOMIAL_DEFAULTS, options);
  expectAtLeast0("power", power);
  return (step, steps) => (1 - step / steps) ** power;
}

/**
 * Half a cosine from 1 down to `end`, by default 0, which begins anew after `t0` steps, and then after each cycle,
 * `tMult` times as long as the one before, by default as long (SGDR: Loshchilov and Hutter, 2017); a `t0` below 1 is a
 * fraction of the run. {@link CosineAnnealingWarmRestarts}.
 *
 * @example
 * ```ts
 * const schedule = cosineRestartsSchedule({ t0: 2, tMult: 2 });
 * [schedule(0, 8), schedule(1, 8), schedule(2, 8), schedule(4, 8), schedule(6, 8)]; // [1, 0.5, 1, 0.5, 1]
 * ```
 */
export function cosineRestartsSchedule(options: { t0: number; tMult?: number; end?: number }): Schedule {
  const { t0, tMult, end } = optionsOf("options", RESTARTS_DEFAULTS, options, ["t0"]);
  expectPositive("t0", t0);
  const length = stepsOrFraction("t0", t0);
  expectInteger("tMult", tMult, 1);
  expectAtLeast0("end", end);
  return (step, steps) => {
    const { at, of } = cycleAt(step, length(steps), tMult);
    return annealCosine(1, end, at / of);
  };
}

/** The place in a cycle, and the length of the cycle, each of which is `tMult` times as long as the one before. */
export function cycleAt(step: number, t0: number, tMult: number): { at: number; of: number } {
  let [at, of] = [step, t0];
  // A fraction of the steps may come out a rounding error beside the whole number that it means.
  if (tMult === 1) return { at: Math.max(0, step - Math.floor(step / t0 + 1e-9) * t0), of };
  while (at >= of - 1e-9) {
    at = Math.max(0, at - of);
    of *= tMult;
  }
  return { at, of };
}

/**
 * Times `gamma` at each step: {@link ExponentialLR}.
 *
 * @example
 * ```ts
 * exponentialSchedule({ gamma: 0.5 })(3, 10); // 0.125
 * ```
 */
export function exponentialSchedule(options: { gamma: number }): Schedule {
  const { gamma } = optionsOf("options", {}, options, ["gamma"]);
  expectAtLeast0("gamma", gamma);
  return (step) => gamma ** step;
}

/**
 * Times `gamma`, by default 0.1, after every `stepSize` steps; a number below 1 is a fraction of the run.
 * {@link StepLR}.
 *
 * @example
 * ```ts
 * const schedule = stepSchedule({ stepSize: 1 / 2, gamma: 0.5 });
 * [schedule(0, 10), schedule(4, 10), schedule(5, 10), schedule(10, 10)]; // [1, 1, 0.5, 0.25]
 * ```
 */
export function stepSchedule(options: { stepSize: number; gamma?: number }): Schedule {
  const { stepSize, gamma } = optionsOf("options", { gamma: GAMMA }, options, ["stepSize"]);
  expectPositive("stepSize", stepSize);
  const length = stepsOrFraction("stepSize", stepSize);
  expectAtLeast0("gamma", gamma);
  // A fraction of the steps may come out a rounding error above the whole number that it means.
  return (step, steps) => gamma ** Math.floor(step / length(steps) + 1e-9);
}

/**
 * Times `gamma`, by default 0.1, at each of the milestones, which are steps; numbers below 1 are fractions of the run.
 * {@link MultiStepLR}.
 *
 * @example
 * ```ts
 * const schedule = multiStepSchedule({ milestones: [2, 6], gamma: 0.5 });
 * [schedule(1, 10), schedule(2, 10), schedule(6, 10)]; // [1, 0.5, 0.25]
 * ```
 */
export function multiStepSchedule(options: { milestones: readonly number[]; gamma?: number }): Schedule {
  const { milestones, gamma } = optionsOf("options", { gamma: GAMMA }, options, ["milestones"]);
  if (!Array.isArray(milestones) || milestones.length === 0) {
    throw badArgument("milestones", "a list of steps", milestones);
  }
  const at = milestones.map((milestone, i) => stepsOrFraction(`milestones[${i}]`, milestone));
  expectAtLeast0("gamma", gamma);
  return (step, steps) => gamma ** at.filter((milestone) => step >= milestone(steps) - 1e-9).length;
}

/**
 * Rises linearly to the first rate of `then` over a number of steps, after which `then` begins; a number below 1 is a
 * fraction of the run. The first step has 1 / (steps + 1) of that rate, so that no step is wasted at a rate of 0. In
 * PyTorch: `LinearLR` with that `start_factor`, followed by `SequentialLR`.
 *
 * @example
 * ```ts
 * const schedule = warmup(4, cosineSchedule());
 * [schedule(0, 14), schedule(3, 14), schedule(4, 14), schedule(9, 14)]; // [0.2, 0.8, 1, 0.5]
 * ```
 */
export function warmup(steps: number, then: Schedule): Schedule {
  const length = stepsOrFraction("steps", steps);
  expectSchedule("then", then);
  return (step, all) => {
    const rise = Math.round(length(all));
    const rest = Math.max(1, all - rise);
    return step < rise ? (then(0, rest) * (step + 1)) / (rise + 1) : then(step - rise, rest);
  };
}

/** Refuses anything but a function. */
export function expectSchedule(name: string, value: unknown): Schedule {
  if (typeof value === "function") return value as Schedule;
  throw badArgument(name, "a schedule, a function of the step and the number of steps", value);
}

/** The point of half a cosine from one value to another, from fraction 0 to 1. */
export function annealCosine(from: number, to: number, fraction: number): number {
  return to + ((from - to) / 2) * (1 + Math.cos(Math.PI * fraction));
}

/** A number of steps, given as such or as a fraction of the run. */
function stepsOrFraction(name: string, value: number): (steps: number) => number {
  const expected = "a whole number of steps, or a fraction of the run below 1";
  expectNumber(name, value, (x) => x >= 0 && (x < 1 || Number.isInteger(x)), expected);
  return (steps) => (value > 0 && value < 1 ? value * steps : value);
}
