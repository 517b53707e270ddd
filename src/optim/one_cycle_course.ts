import { expectNumber, show } from "../checks.js";
import { DistilleryError } from "../errors.js";

export type Anneal = "cos" | "linear";

/** What decides the form of a one-cycle schedule, with PyTorch's defaults. */
export interface CourseOptions {
  /** The share of the cycle that rises; default 0.3. */
  pctStart?: number;
  /** How the rate moves between its corners; default "cos". */
  annealStrategy?: "cos" | "linear";
  /** Start at the top divided by this; default 25. */
  divFactor?: number;
  /** End at the start divided by this; default 1e4. */
  finalDivFactor?: number;
}

export const COURSE_DEFAULTS = { pctStart: 0.3, annealStrategy: "cos", divFactor: 25, finalDivFactor: 1e4 } as const;

/** Where a cycle turns, and how it moves. */
export interface Course {
  totalSteps: number;
  /** Where the rate is at its top. */
  topStep: number;
  anneal: Anneal;
}

/** The values at the start, at the top and in the last step. */
export type Corners = readonly [start: number, top: number, end: number];

/** The course of a cycle of so many steps. */
export function courseOf(totalSteps: number, options: Required<CourseOptions>): Course {
  const pctStart = expectNumber("pctStart", options.pctStart, (x) => x >= 0 && x <= 1, "a number from 0 to 1");
  return { totalSteps, topStep: pctStart * totalSteps - 1, anneal: expectAnneal(options.annealStrategy) };
}

/** The rates of a cycle with this one at its top. */
export function cornersOf(top: number, { divFactor, finalDivFactor }: Required<CourseOptions>): Corners {
  const positive = (x: number) => x > 0;
  const start = top / expectNumber("divFactor", divFactor, positive, "a number above 0");
  return [start, top, start / expectNumber("finalDivFactor", finalDivFactor, positive, "a number above 0")];
}

/** The value at a step. */
export function onCourse({ totalSteps, topStep, anneal }: Course, step: number, [start, top, end]: Corners): number {
  const rises = step <= topStep;
  const [from, to] = rises ? [0, topStep] : [topStep, totalSteps - 1];
  // A phase of no length is over: it stands at its end.
  const part = to === from ? 1 : (step - from) / (to - from);
  return rises ? ANNEAL[anneal](start, top, part) : ANNEAL[anneal](top, end, part);
}

export function expectAnneal(strategy: unknown): Anneal {
  if (strategy === "cos" || strategy === "linear") return strategy;
  throw new DistilleryError("BAD_ARGUMENT", `annealStrategy: expected "cos" or "linear", got ${show(strategy)}`);
}

const ANNEAL: Record<Anneal, (from: number, to: number, part: number) => number> = {
  cos: (from, to, part) => to + ((from - to) / 2) * (1 + Math.cos(Math.PI * part)),
  linear: (from, to, part) => (to - from) * part + from,
};
