import { describe, expect, it } from "vitest";
import {
  constantSchedule,
  cosineRestartsSchedule,
  cosineSchedule,
  exponentialSchedule,
  linearSchedule,
  multiStepSchedule,
  oneCycleSchedule,
  polynomialSchedule,
  type Schedule,
  stepSchedule,
  warmup,
} from "../../src/index.js";
import { expectClose } from "../parity/close.js";

const CLOSE = { rel: 1e-12, abs: 1e-15 };

/** The factors at steps 0 to `steps`. */
function rates(schedule: Schedule, steps: number): number[] {
  return Array.from({ length: steps + 1 }, (_, step) => schedule(step, steps));
}

describe("by hand", () => {
  it("constantSchedule", () => {
    expect(rates(constantSchedule(), 3)).toEqual([1, 1, 1, 1]);
  });

  it("cosineSchedule", () => {
    const half = Math.SQRT1_2 / 2;
    expectClose(rates(cosineSchedule(), 4), [1, 0.5 + half, 0.5, 0.5 - half, 0], CLOSE);
    expectClose(rates(cosineSchedule({ end: 0.2 }), 2), [1, 0.6, 0.2], CLOSE);
  });

  it("linearSchedule", () => {
    expectClose(rates(linearSchedule(), 4), [1, 0.75, 0.5, 0.25, 0], CLOSE);
    expectClose(rates(linearSchedule({ start: 0, end: 2 }), 4), [0, 0.5, 1, 1.5, 2], CLOSE);
  });

  it("polynomialSchedule", () => {
    expectClose(rates(polynomialSchedule(), 4), [1, 0.75, 0.5, 0.25, 0], CLOSE);
    expectClose(rates(polynomialSchedule({ power: 2 }), 4), [1, 0.5625, 0.25, 0.0625, 0], CLOSE);
  });

  it("cosineRestartsSchedule in steps, and in fractions that are no whole number of steps", () => {
    const cycle = [1, 0.5];
    expectClose(rates(cosineRestartsSchedule({ t0: 2 }), 5), [...cycle, ...cycle, ...cycle], CLOSE);
    const half = Math.SQRT1_2 / 2;
    const twice = [1, 0.5 + half, 0.5, 0.5 - half];
    expectClose(rates(cosineRestartsSchedule({ t0: 2, tMult: 2 }), 6), [...cycle, ...twice, 1], CLOSE);
    expectClose(
      rates(cosineRestartsSchedule({ t0: 0.2, end: 0.5 }), 10),
      [...Array(5).fill([1, 0.75]).flat(), 1],
      CLOSE,
    );
    // A third of 4 steps is 1.33: the cycles begin at 0, 1.33, 2.67 and 4.
    const within = (at: number) => 0.5 * (1 + Math.cos((Math.PI * at) / 4));
    expectClose(rates(cosineRestartsSchedule({ t0: 1 / 3 }), 4), [1, within(3), within(2), within(1), 1], CLOSE);
  });

  it("stepSchedule in steps, and in fractions that are no whole number of steps", () => {
    expectClose(rates(stepSchedule({ stepSize: 2, gamma: 0.5 }), 5), [1, 1, 0.5, 0.5, 0.25, 0.25], CLOSE);
    expectClose(rates(stepSchedule({ stepSize: 1 }), 2), [1, 0.1, 0.01], CLOSE);
    // A third of 4 steps is 1.33: it drops at 2, 3 and 4.
    expectClose(rates(stepSchedule({ stepSize: 1 / 3, gamma: 0.5 }), 4), [1, 1, 0.5, 0.25, 0.125], CLOSE);
    expect(rates(stepSchedule({ stepSize: 1, gamma: 0 }), 2)).toEqual([1, 0, 0]);
  });

  it("multiStepSchedule in steps and in fractions, in any order, a milestone twice", () => {
    const schedule = multiStepSchedule({ milestones: [4, 2, 4], gamma: 0.5 });
    expectClose(rates(schedule, 5), [1, 1, 0.5, 0.5, 0.125, 0.125], CLOSE);
    expectClose(rates(multiStepSchedule({ milestones: [0.5, 0.75] }), 4), [1, 1, 0.1, 0.01, 0.01], CLOSE);
  });

  it("exponentialSchedule", () => {
    expectClose(rates(exponentialSchedule({ gamma: 0.5 }), 3), [1, 0.5, 0.25, 0.125], CLOSE);
  });

  it("oneCycleSchedule turns where pctStart says, and ends in the last step", () => {
    const options = { pctStart: 0.5, divFactor: 5, finalDivFactor: 2, annealStrategy: "linear" } as const;
    expectClose(rates(oneCycleSchedule(options), 6).slice(0, 6), [0.2, 0.6, 1, 0.7, 0.4, 0.1], CLOSE);
  });

  it("warmup rises to the first rate of what follows, which has the rest of the steps to itself", () => {
    expectClose(rates(warmup(3, linearSchedule()), 7), [0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0], CLOSE);
    expectClose(rates(warmup(0.5, linearSchedule({ start: 0.5 })), 4), [1 / 6, 2 / 6, 0.5, 0.25, 0], CLOSE);
    expect(rates(warmup(0, linearSchedule()), 4)).toEqual(rates(linearSchedule(), 4));
    expectClose(rates(warmup(9, cosineSchedule()), 2), [0.1, 0.2, 0.3], CLOSE);
  });

  it("a user's function is a schedule", () => {
    const own: Schedule = (step, steps) => (step / steps) ** 2;
    expectClose(rates(warmup(1, own), 3), [0, 0, 0.25, 1], CLOSE);
  });
});

describe("bad arguments", () => {
  const factor = (name: string, got: string) => `${name}: expected a number of at least 0, got ${got}`;
  const count = "expected a whole number of steps, or a fraction of the run below 1";
  it.each<[string, () => unknown]>([
    [factor("end", "-1"), () => cosineSchedule({ end: -1 })],
    [factor("end", "null"), () => cosineSchedule({ end: null as never })],
    [factor("start", "NaN"), () => linearSchedule({ start: Number.NaN })],
    [factor("end", '"0"'), () => linearSchedule({ end: "0" as never })],
    [factor("gamma", "-0.1"), () => stepSchedule({ stepSize: 1, gamma: -0.1 })],
    ["stepSize: expected a number above 0, got 0", () => stepSchedule({ stepSize: 0 })],
    ["stepSize: expected a number above 0, got undefined", () => stepSchedule({} as never)],
    [`stepSize: ${count}, got 1.5`, () => stepSchedule({ stepSize: 1.5 })],
    [factor("gamma", "undefined"), () => exponentialSchedule({} as never)],
    [factor("power", "-1"), () => polynomialSchedule({ power: -1 })],
    ["t0: expected a number above 0, got undefined", () => cosineRestartsSchedule({} as never)],
    [`t0: ${count}, got 1.5`, () => cosineRestartsSchedule({ t0: 1.5 })],
    ["tMult: expected a whole number of at least 1, got 0.5", () => cosineRestartsSchedule({ t0: 2, tMult: 0.5 })],
    ["milestones: expected a list of steps, got 3", () => multiStepSchedule({ milestones: 3 as never })],
    ["milestones: expected a list of steps, got an empty list", () => multiStepSchedule({ milestones: [] })],
    [`milestones[1]: ${count}, got -1`, () => multiStepSchedule({ milestones: [1, -1] })],
    ['options: unknown option "gama", did you mean gamma?', () => stepSchedule({ stepSize: 1, gama: 1 } as never)],
    ['options: unknown option "every", expected one of end', () => cosineSchedule({ every: 1 } as never)],
    ["pctStart: expected a number from 0 to 1, got 2", () => oneCycleSchedule({ pctStart: 2 })],
    ["divFactor: expected a number above 0, got 0", () => oneCycleSchedule({ divFactor: 0 })],
    ["finalDivFactor: expected a number above 0, got -1", () => oneCycleSchedule({ finalDivFactor: -1 })],
    [
      'annealStrategy: expected "cos" or "linear", got "exp"',
      () => oneCycleSchedule({ annealStrategy: "exp" as "cos" }),
    ],
    [`steps: ${count}, got -1`, () => warmup(-1, cosineSchedule())],
    [`steps: ${count}, got 2.5`, () => warmup(2.5, cosineSchedule())],
    [
      'then: expected a schedule, a function of the step and the number of steps, got "cosine"',
      () => warmup(1, "cosine" as never),
    ],
  ])("%s", (message, body) => {
    expect(body).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT", message }));
  });
});
