import { expectNumber, show, withDefaults } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { COURSE_DEFAULTS, type CourseOptions, cornersOf, courseOf, onCourse } from "./one_cycle_course.js";

/**
 * The course of a learning rate: the factor on the top rate at a step of a run, from 0 (before the first step) to `steps`
 * (after the last one). Any function of this form is one; as in optax, they are put together by calling each other.
 *
 * @example
 * ```ts
 * const inverseRoot: Schedule = (step) => 1 / Math.sqrt(1 + step);
 * const scheduler = new LambdaLR(optimizer, { schedule: warmUp(100, inverseRoot), totalSteps: 1000 });
 * ```
 */
export type Schedule = (step: number, steps: number) => number;

/**
 * The top rate all the way.
 *
 * @example
 * ```ts
 * constant()(7, 10); // 1
 * ```
 */
export function constant(): Schedule {
  return () => 1;
}

/**
 * Half a cosine from 1 down to `end`, by default 0 (Loshchilov and Hutter, 2017):
 * `torch.optim.lr_scheduler.CosineAnnealingLR` with `T_max` the steps of the run.
 *
 * @example
 * ```ts
 * const course = cosine({ end: 0.1 });
 * [course(0, 10), course(5, 10), course(10, 10)]; // [1, 0.55, 0.1]
 * ```
 */
export function cosine(options: { end?: number } = {}): Schedule {
  const { end } = withDefaults({ end: 0 }, options);
  expectFactor("end", end);
  return (step, steps) => end + ((1 - end) * (1 + Math.cos((Math.PI * step) / steps))) / 2;
}

/**
 * A straight line from `start`, by default 1, to `end`, by default 0: `torch.optim.lr_scheduler.LinearLR` with
 * `total_iters` the steps of the run.
 *
 * @example
 * ```ts
 * const course = linear({ end: 0.5 });
 * [course(0, 10), course(5, 10), course(10, 10)]; // [1, 0.75, 0.5]
 * ```
 */
export function linear(options: { start?: number; end?: number } = {}): Schedule {
  const { start, end } = withDefaults({ start: 1, end: 0 }, options);
  expectFactor("start", start);
  expectFactor("end", end);
  return (step, steps) => start + ((end - start) * step) / steps;
}

/**
 * Times `gamma`, by default 0.1, after every so many steps; a number below 1 is a share of the run.
 * `torch.optim.lr_scheduler.StepLR`.
 *
 * @example
 * ```ts
 * const course = stepDecay({ every: 1 / 2, gamma: 0.5 });
 * [course(0, 10), course(4, 10), course(5, 10), course(10, 10)]; // [1, 1, 0.5, 0.25]
 * ```
 */
export function stepDecay(options: { every: number; gamma?: number }): Schedule {
  const { every, gamma } = withDefaults({ gamma: 0.1 }, options);
  expectNumber("every", every, (x) => x > 0, "a number above 0");
  const length = stepsOrShare("every", every);
  expectFactor("gamma", gamma);
  // A share of the steps may come out a rounding above the whole number that it stands for.
  return (step, steps) => gamma ** Math.floor(step / length(steps) + 1e-9);
}

/**
 * Up to 1, then down below the start (Smith and Topin, 2017): the rates of {@link OneCycleLR}, which cycles beta1 too.
 *
 * @example
 * ```ts
 * const course = oneCycle({ pctStart: 0.5, divFactor: 25 });
 * [course(0, 10), course(4, 10), course(9, 10)]; // [0.04, 1, 0.000004]
 * ```
 */
export function oneCycle(options: CourseOptions = {}): Schedule {
  const all = withDefaults(COURSE_DEFAULTS, options);
  const corners = cornersOf(1, all);
  courseOf(1, all); // Refuses now what it would refuse at the first step.
  // A straight way down goes on below 0 after the last step.
  return (step, steps) => Math.max(0, onCourse(courseOf(steps, all), step, corners));
}

/**
 * Rises evenly to the first rate of `then` over so many steps, which are then left to it; a number below 1 is a share of
 * the run. The first step has 1 / (steps + 1) of that rate, so that none is lost at a rate of 0. In PyTorch: `LinearLR`
 * with that `start_factor`, and then `SequentialLR`.
 *
 * @example
 * ```ts
 * const course = warmUp(4, cosine());
 * [course(0, 14), course(3, 14), course(4, 14), course(9, 14)]; // [0.2, 0.8, 1, 0.5]
 * ```
 */
export function warmUp(steps: number, then: Schedule): Schedule {
  const length = stepsOrShare("steps", steps);
  expectSchedule("then", then);
  return (step, all) => {
    const rise = Math.round(length(all));
    const rest = Math.max(1, all - rise);
    return step < rise ? (then(0, rest) * (step + 1)) / (rise + 1) : then(step - rise, rest);
  };
}

/** Refuses what is no function. */
export function expectSchedule(name: string, value: unknown): Schedule {
  if (typeof value === "function") return value as Schedule;
  const text = `${name}: expected a schedule, a function of the step and the number of steps, got ${show(value)}`;
  throw new DistilleryError("BAD_ARGUMENT", text);
}

function expectFactor(name: string, value: unknown): void {
  expectNumber(name, value, (x) => x >= 0, "a number of at least 0");
}

/** A number of steps, given as such or as a share of the run. */
function stepsOrShare(name: string, value: number): (steps: number) => number {
  const expected = "a whole number of steps, or a share of the run below 1";
  expectNumber(name, value, (x) => x >= 0 && (x < 1 || Number.isInteger(x)), expected);
  return (steps) => (value < 1 ? value * steps : value);
}
