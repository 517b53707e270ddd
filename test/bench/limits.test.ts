import { describe, expect, it } from "vitest";
import { elementwise, product, rateOf } from "../../bench/cases/case.js";
import { bandwidthFor, limitOf, shareOf, workingSets } from "../../bench/machine.js";
import { spread, takeTurns } from "../../bench/measure.js";
import { STUDENT_SIZES, stepWork, TEACHER_SIZES } from "../../bench/steps/setup.js";
import { LIMITS } from "./sample.js";

const MIB = 2 ** 20;

describe("what bounds a kernel", () => {
  it("is arithmetic for a product, at its peak", () => {
    const work = product(1000, 1000, 1000);
    expect(limitOf(work, LIMITS.all)).toEqual({ ms: 10, bound: "arithmetic" });
    expect(shareOf(work, 20, LIMITS.all)).toEqual({ bound: "arithmetic", share: 0.5 });
  });

  it("is the bandwidth of its size for a pass over arrays", () => {
    const work = elementwise(25e5, 1, 25e5);
    expect(limitOf(work, LIMITS.all)).toEqual({ ms: 1e7 / 25e6, bound: "bandwidth" });
    expect(rateOf(work, 1)).toBe(10);
  });

  it("takes the smallest working set that holds it, and the largest where none does", () => {
    expect([1, MIB, MIB + 1, 1024 * MIB].map((bytes) => bandwidthFor(LIMITS.all, bytes))).toEqual([100, 100, 25, 25]);
  });

  it("has working sets that grow, the last beyond the last cache", () => {
    const sets = workingSets(256 * MIB);
    expect(sets).toEqual([...sets].sort((a, b) => a - b));
    expect(sets.at(-1)).toBe(512 * MIB);
    expect(workingSets(null).at(-1)).toBe(256 * MIB);
  });
});

describe("the work of a step", () => {
  it("is that of the script", () => {
    const mflop = (mode: "train" | "eval" | "cached" | "teacher") => stepWork({ mode, rows: 64, width: 1 }).flops / 1e6;
    expect(mflop("train")).toBeCloseTo(696, 0);
    expect(mflop("eval")).toBe(mflop("train"));
    expect(mflop("cached")).toBeCloseTo(154, 0);
    expect(mflop("teacher")).toBeCloseTo(1420, 0);
  });

  it("moves the parameters that are trained", () => {
    const sum = (sizes: readonly number[]) => sizes.reduce((total, size) => total + size, 0);
    expect(sum(STUDENT_SIZES)).toBe(535_818);
    expect(sum(TEACHER_SIZES)).toBe(4_242_954);
    expect(stepWork({ mode: "teacher", rows: 64, width: 1 }).bytes).toBe(28 * 4_242_954);
  });
});

describe("times of several rounds", () => {
  it("have a median and a range", () => {
    expect(spread([5, 1, 3])).toEqual({ median: 3, min: 1, max: 5 });
    expect(spread([4, 1])).toEqual({ median: 2.5, min: 1, max: 4 });
    expect(() => spread([])).toThrow("at least one");
  });

  it("come from bodies that take turns", async () => {
    const asked: string[] = [];
    const body = (name: string, value: number) => () => {
      asked.push(name);
      return value;
    };
    const spreads = await takeTurns(2, [body("a", 1), body("b", 2)]);
    expect(asked).toEqual(["a", "b", "a", "b"]);
    expect(spreads.map(({ median }) => median)).toEqual([1, 2]);
  });
});
