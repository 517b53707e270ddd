import { describe, expect, it } from "vitest";
import { constant, cosine, linear, oneCycle, type Schedule, stepDecay, warmUp } from "../../src/index.js";
import { expectClose } from "../parity/close.js";

const CLOSE = { rel: 1e-12, abs: 1e-15 };

/** The factors at steps 0 to `steps`. */
function course(schedule: Schedule, steps: number): number[] {
  return Array.from({ length: steps + 1 }, (_, step) => schedule(step, steps));
}

describe("by hand", () => {
  it("constant", () => {
    expect(course(constant(), 3)).toEqual([1, 1, 1, 1]);
  });

  it("cosine", () => {
    const half = Math.SQRT1_2 / 2;
    expectClose(course(cosine(), 4), [1, 0.5 + half, 0.5, 0.5 - half, 0], CLOSE);
    expectClose(course(cosine({ end: 0.2 }), 2), [1, 0.6, 0.2], CLOSE);
  });

  it("linear", () => {
    expectClose(course(linear(), 4), [1, 0.75, 0.5, 0.25, 0], CLOSE);
    expectClose(course(linear({ start: 0, end: 2 }), 4), [0, 0.5, 1, 1.5, 2], CLOSE);
  });

  it("stepDecay in steps, and in shares that are no whole number of steps", () => {
    expectClose(course(stepDecay({ every: 2, gamma: 0.5 }), 5), [1, 1, 0.5, 0.5, 0.25, 0.25], CLOSE);
    expectClose(course(stepDecay({ every: 1 }), 2), [1, 0.1, 0.01], CLOSE);
    // A third of 4 steps is 1.33: it drops at 2, 3 and 4.
    expectClose(course(stepDecay({ every: 1 / 3, gamma: 0.5 }), 4), [1, 1, 0.5, 0.25, 0.125], CLOSE);
    expect(course(stepDecay({ every: 1, gamma: 0 }), 2)).toEqual([1, 0, 0]);
  });

  it("oneCycle turns where pctStart says, and ends in the last step", () => {
    const options = { pctStart: 0.5, divFactor: 5, finalDivFactor: 2, annealStrategy: "linear" } as const;
    expectClose(course(oneCycle(options), 6).slice(0, 6), [0.2, 0.6, 1, 0.7, 0.4, 0.1], CLOSE);
  });

  it("warmUp rises to the first rate of what follows, which has the rest of the steps to itself", () => {
    expectClose(course(warmUp(3, linear()), 7), [0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0], CLOSE);
    expectClose(course(warmUp(0.5, linear({ start: 0.5 })), 4), [1 / 6, 2 / 6, 0.5, 0.25, 0], CLOSE);
    expect(course(warmUp(0, linear()), 4)).toEqual(course(linear(), 4));
    expectClose(course(warmUp(9, cosine()), 2), [0.1, 0.2, 0.3], CLOSE);
  });

  it("one's own function is one", () => {
    const own: Schedule = (step, steps) => (step / steps) ** 2;
    expectClose(course(warmUp(1, own), 3), [0, 0, 0.25, 1], CLOSE);
  });
});

describe("bad arguments", () => {
  const factor = (name: string, got: string) => `${name}: expected a number of at least 0, got ${got}`;
  const count = "expected a whole number of steps, or a share of the run below 1";
  it.each<[string, () => unknown]>([
    [factor("end", "-1"), () => cosine({ end: -1 })],
    [factor("end", "null"), () => cosine({ end: null as never })],
    [factor("start", "NaN"), () => linear({ start: Number.NaN })],
    [factor("end", '"0"'), () => linear({ end: "0" as never })],
    [factor("gamma", "-0.1"), () => stepDecay({ every: 1, gamma: -0.1 })],
    ["every: expected a number above 0, got 0", () => stepDecay({ every: 0 })],
    ["every: expected a number above 0, got undefined", () => stepDecay({} as never)],
    [`every: ${count}, got 1.5`, () => stepDecay({ every: 1.5 })],
    ["pctStart: expected a number from 0 to 1, got 2", () => oneCycle({ pctStart: 2 })],
    ["divFactor: expected a number above 0, got 0", () => oneCycle({ divFactor: 0 })],
    ["finalDivFactor: expected a number above 0, got -1", () => oneCycle({ finalDivFactor: -1 })],
    ['annealStrategy: expected "cos" or "linear", got "exp"', () => oneCycle({ annealStrategy: "exp" as "cos" })],
    [`steps: ${count}, got -1`, () => warmUp(-1, cosine())],
    [`steps: ${count}, got 2.5`, () => warmUp(2.5, cosine())],
    [
      'then: expected a schedule, a function of the step and the number of steps, got "cosine"',
      () => warmUp(1, "cosine" as never),
    ],
  ])("%s", (message, body) => {
    expect(body).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT", message }));
  });
});
