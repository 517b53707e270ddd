import { describe, expect, it } from "vitest";
import { elementwise, product, rateOf } from "../../bench/cases/case.js";
import { Host } from "../../bench/host.js";
import { bandwidthFor, limitOf, shareOf, workingSets } from "../../bench/machine.js";
import { estimate, ratios, takeTurns } from "../../bench/measure.js";
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
  it("have a median, and from 9 on an interval inside of their range", () => {
    expect(estimate([5, 1, 3])).toEqual({ median: 3, low: 1, high: 5 });
    expect(estimate([4, 1])).toEqual({ median: 2.5, low: 1, high: 4 });
    expect(estimate([9, 8, 7, 6, 5, 4, 3, 2, 1])).toEqual({ median: 5, low: 2, high: 8 });
    expect(() => estimate([])).toThrow("at least one");
  });

  it.each([1, 5, 6, 9, 15, 40])(
    "have an interval of %i numbers that holds the median in 95% of all cases, or their range",
    (n) => {
      const { low } = estimate(Array.from({ length: n }, (_, i) => i));
      // The interval misses it if at most `low` of n fair coins show the one side, or the other.
      let [outcomes, misses] = [1, 0];
      for (let k = 0; k <= low; k++) {
        misses += (2 * outcomes) / 2 ** n;
        outcomes *= (n - k) / (k + 1);
      }
      if (low > 0) expect(misses).toBeLessThan(0.05);
      expect(estimate(Array.from({ length: n }, (_, i) => i)).high).toBe(n - 1 - low);
    },
  );

  it("are compared round by round", () => {
    expect(ratios([2, 4, 6], [1, 2, 2])).toEqual({ median: 2, low: 2, high: 3 });
  });

  it("come from bodies that take turns", async () => {
    const asked: string[] = [];
    const body = (name: string, value: number) => () => {
      asked.push(name);
      return value;
    };
    const times = await takeTurns(3, [body("a", 1), body("b", 2)], () => false);
    expect(asked).toEqual(["a", "b", "b", "a", "a", "b"]);
    expect(times).toEqual([
      [1, 1, 1],
      [2, 2, 2],
    ]);
  });

  it("are taken again if the host was busy, as often as there are rounds", async () => {
    let calls = 0;
    const peaks = [100, 79, 81, 50, 50, 50];
    const host = new Host(() => peaks.shift() as number);
    const times = await takeTurns(3, [() => ++calls], () => host.isBusy());
    expect(times).toEqual([[1, 3, 6]]);
    expect(host.busy).toBe(4);
    expect(host.note()).toContain("busy after 4 rounds");
  });
});
