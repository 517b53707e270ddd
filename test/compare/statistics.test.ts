import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { criticalValue, holm, pairedDifference, sampleStats, twoSidedPValue } from "../../src/compare/statistics.js";
import { expectClose } from "../parity/close.js";

interface Fixture {
  tails: { degrees: number; t: number; p: number }[];
  quantiles: { degrees: number; confidence: number; t: number }[];
  paired: {
    a: number[];
    b: number[];
    confidence: number;
    mean: number;
    std: number;
    low: number;
    high: number;
    p: number;
  }[];
}

const path = new URL("fixtures/t_distribution.json", import.meta.url);
const { tails, quantiles, paired } = JSON.parse(readFileSync(path, "utf8")) as Fixture;
const CLOSE = { rel: 1e-10 };

describe("Student's t is SciPy's", () => {
  it("two-sided tails, small ones as exactly as large ones", () => {
    const got = tails.map(({ t, degrees }) => twoSidedPValue(t, degrees));
    expectClose(
      got,
      tails.map(({ p }) => p),
      CLOSE,
    );
    expectClose(
      tails.map(({ t, degrees }) => twoSidedPValue(-t, degrees)),
      got,
      {},
    );
  });

  it("quantiles", () => {
    const got = quantiles.map(({ confidence, degrees }) => criticalValue(1 - confidence, degrees));
    expectClose(
      got,
      quantiles.map(({ t }) => t),
      CLOSE,
    );
  });

  it("and by hand: of 1 degree tan(pi confidence / 2), of 2 confidence sqrt(2 / (1 - confidence²))", () => {
    for (const confidence of [1e-3, 0.3, 0.95, 1 - 1e-9]) {
      const tail = 1 - confidence;
      // Of small tails the difference from 1 has lost digits: the formulas in terms of the tail.
      expectClose([criticalValue(tail, 1)], [1 / Math.tan((Math.PI * tail) / 2)], CLOSE);
      expectClose([criticalValue(tail, 2)], [(1 - tail) * Math.sqrt(2 / (tail * (2 - tail)))], CLOSE);
    }
    expect([twoSidedPValue(0, 4), twoSidedPValue(Infinity, 4), twoSidedPValue(1e200, 4)]).toEqual([1, 0, 0]);
  });
});

describe("sampleStats", () => {
  it("by hand", () => {
    // Deviations -3, -1, 1, 3: a sum of squares of 20, over 3.
    expect(sampleStats([2, 4, 6, 8])).toEqual({ values: [2, 4, 6, 8], mean: 5, std: Math.sqrt(20 / 3) });
    expect(sampleStats([0.7])).toEqual({ values: [0.7], mean: 0.7, std: 0 });
    expect(sampleStats([0.1, 0.1, 0.1])).toEqual({ values: [0.1, 0.1, 0.1], mean: 0.1, std: 0 });
  });

  it("takes no part in later changes of the list", () => {
    const values = [1, 2];
    const { values: kept } = sampleStats(values);
    values.push(3);
    expect(kept).toEqual([1, 2]);
  });
});

describe("pairedDifference", () => {
  it.each(paired)("is SciPy's ttest_rel: $a less $b", ({ a, b, confidence, ...expected }) => {
    const { mean, std, low, high, pValue, ...rest } = pairedDifference(a, b, confidence);
    const wanted = [expected.mean, expected.std, expected.low, expected.high, expected.p];
    expectClose([mean, std, low, high, pValue], wanted, CLOSE);
    expect(rest).toEqual({
      values: a.map((x, i) => x - (b[i] as number)),
      confidence,
      distinguishable: expected.low > 0 || expected.high < 0,
    });
    expect(rest.distinguishable).toBe(expected.p < 1 - confidence);
  });

  it("by hand: differences 1 and 3 are 2 ± 12.706 at 95 %", () => {
    const { mean, low, high, pValue, distinguishable } = pairedDifference([3, 5], [2, 2]);
    // One degree: t is tan(0.475 pi), the error 1; p of t = 2 is 1 - 2 atan(2) / pi.
    const reach = Math.tan(0.475 * Math.PI);
    expectClose([mean, low, high, pValue], [2, 2 - reach, 2 + reach, 1 - (2 * Math.atan(2)) / Math.PI], CLOSE);
    expect(distinguishable).toBe(false);
  });

  it("of one pair nothing is known", () => {
    expect(pairedDifference([0.9], [0.8])).toEqual({
      values: [0.9 - 0.8],
      mean: 0.9 - 0.8,
      std: 0,
      confidence: 0.95,
      low: -Infinity,
      high: Infinity,
      pValue: 1,
      distinguishable: false,
    });
  });

  it("equal differences, but for rounding, do not tell how far they sampleStats", () => {
    const unknown = { low: -Infinity, high: Infinity, pValue: 1, distinguishable: false };
    expect(pairedDifference([1, 2, 3], [0.5, 1.5, 2.5])).toMatchObject({ ...unknown, std: 0, mean: 0.5 });
    expect(pairedDifference([0.1, 0.2], [0.1, 0.2])).toMatchObject({ ...unknown, std: 0, mean: 0 });
    const shares = [3, 7, 50].map((right) => [(right + 1) / 120, right / 120]);
    const [a, b] = [shares.map(([x]) => x as number), shares.map(([, x]) => x as number)];
    expect(pairedDifference(a, b).std).toBeGreaterThan(0);
    expect(pairedDifference(a, b)).toMatchObject(unknown);
  });

  it("turned round, it is the same with the other sign", () => {
    const [a, b] = [
      [0.9, 0.93, 0.91],
      [0.88, 0.9, 0.9],
    ];
    const [one, other] = [
      pairedDifference(a as number[], b as number[]),
      pairedDifference(b as number[], a as number[]),
    ];
    expectClose([other.mean, other.low, other.high], [-one.mean, -one.high, -one.low], CLOSE);
    expect([other.std, other.pValue, other.distinguishable]).toEqual([one.std, one.pValue, one.distinguishable]);
  });
});

it.each<[string, () => unknown]>([
  ["values: expected a list of at least one number, got none", () => sampleStats([])],
  ["values: expected a list of at least one number, got 3", () => sampleStats(3 as never)],
  ["values[1]: expected a finite number, got NaN", () => sampleStats([1, Number.NaN])],
  ['a[0]: expected a finite number, got "1"', () => pairedDifference(["1"] as never, [1])],
  ["b: expected 2 values, one for each of a, got 1", () => pairedDifference([1, 2], [1])],
  ["confidence: expected a number between 0 and 1, got 95", () => pairedDifference([1, 2], [1, 2], 95)],
  ["confidence: expected a number between 0 and 1, got 1", () => pairedDifference([1, 2], [1, 2], 1)],
])("refused: %s", (message, body) => {
  expect(body).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT", message }));
});

describe("holm", () => {
  // statsmodels 0.14: multipletests(p, method="holm")[1]
  it.each([
    [
      [0.01, 0.04, 0.03],
      [0.03, 0.06, 0.06],
    ],
    [
      [0.01, 0.02, 0.03, 0.04],
      [0.04, 0.06, 0.06, 0.06],
    ],
    [
      [0.2, 0.9, 0.001, 0.5],
      [0.6, 1, 0.004, 1],
    ],
    [[0.5], [0.5]],
    [[], []],
  ])("%j gives %j", (given, expected) => {
    expectClose(holm(given), expected, { rel: 1e-12 });
  });
});
