import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { crossedDifference, differenceOverSeeds } from "../../src/compare/crossed_difference.js";
import { holm, pairedDifference, sampleStats } from "../../src/compare/statistics.js";
import { criticalValue, twoSidedPValue } from "../../src/compare/t_distribution.js";
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
  parts: { degrees: number; t: number; p: number }[];
  crossed: Crossed[];
}

interface Source {
  error: number;
  low: number;
  high: number;
  p: number;
}

/** Right and wrong as texts of 1 and 0, a seed each. */
interface Crossed {
  a: string[];
  b: string[];
  mean: number;
  degrees: number;
  both: Source;
  seeds: Source;
  samples: Source;
  bootstrap: { samples: number; both: number };
}

const path = new URL("fixtures/t_distribution.json", import.meta.url);
const { tails, quantiles, paired, parts, crossed } = JSON.parse(readFileSync(path, "utf8")) as Fixture;
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

  it("with degrees that are no whole numbers", () => {
    expectClose(
      parts.map(({ t, degrees }) => twoSidedPValue(t, degrees)),
      parts.map(({ p }) => p),
      CLOSE,
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

  it("scales with its values, up to what doubles hold", () => {
    const [a, b] = [
      [1, 1.25, 1.5, 1.375],
      [0.5, 1.5, 1, 0.25],
    ];
    const { mean, low, pValue } = pairedDifference(a, b);
    const crossed = crossedDifference([a, b], [b.toReversed(), a.toReversed()]);
    for (const scale of [2 ** -1000, 2 ** -400, 2 ** 300, 2 ** 1000]) {
      const [small, other] = [a, b].map((values) => values.map((x) => x * scale)) as [number[], number[]];
      const scaled = pairedDifference(small, other);
      expect([scaled.mean / scale, scaled.low / scale, scaled.pValue]).toEqual([mean, low, pValue]);
      const both = crossedDifference([small, other], [other.toReversed(), small.toReversed()]);
      expect([both.mean / scale, both.high / scale]).toEqual([crossed.mean, crossed.high]);
      expect(both.degrees).toBeCloseTo(crossed.degrees, 9);
    }
    expect(() => pairedDifference([1.7e308, 1.5e308], [0, 0])).toThrow("differences a double holds");
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

describe("crossedDifference", () => {
  const scoresOf = (texts: readonly string[]) => texts.map((text) => Uint8Array.from(text, Number));

  it.each(crossed)("is SciPy's, of $a.length seeds", ({ a, b, mean, degrees, both, seeds, samples, bootstrap }) => {
    const got = crossedDifference(scoresOf(a), scoresOf(b));
    const flat = ({ error, low, high, pValue }: typeof got.seeds) => [error, low, high, pValue];
    // Satterthwaite's interval, or that of the seeds alone where it is wider.
    const [low95, high95] = [Math.min(both.low, seeds.low), Math.max(both.high, seeds.high)];
    const isOfSeeds = seeds.high > both.high;
    expectClose(
      [got.mean, got.degrees, got.low, got.high, got.pValue],
      [mean, isOfSeeds ? a.length - 1 : degrees, low95, high95, Math.max(both.p, seeds.p)],
      CLOSE,
    );
    for (const [one, expected] of [
      [got.seeds, seeds],
      [got.samples, samples],
    ] as const) {
      expectClose(flat(one), [expected.error, expected.low, expected.high, expected.p], CLOSE);
    }
    expect(got.distinguishable).toBe(both.p < 0.05 && seeds.p < 0.05);
    // NumPy's bootstrap, of samples alone and of both, up to its own noise; of few seeds it is too small by their
    // number less 1.
    expectClose([got.samples.error], [bootstrap.samples], { rel: 0.05 });
    expectClose([both.error], [bootstrap.both], { rel: 0.2 });
    // The seeds' part is the paired t-test over their accuracies.
    const share = (scores: Uint8Array[]) => scores.map((one) => one.reduce((x, y) => x + y, 0) / one.length);
    const { low, high, pValue, values } = pairedDifference(share(scoresOf(a)), share(scoresOf(b)));
    expect(got.values).toEqual(values);
    expectClose([got.seeds.low, got.seeds.high, got.seeds.pValue], [low, high, pValue], CLOSE);
  });

  it("by hand: one seed has the error of McNemar's test, and no interval", () => {
    // 6 of 10 alike, 3 gained, 1 lost: the variance of the mean is (4 / 10 - 0.2²) / 9.
    const got = crossedDifference(scoresOf(["1111111001"]), scoresOf(["0001111011"]));
    expectClose([got.mean, got.samples.error], [0.2, Math.sqrt((0.4 - 0.04) / 9)], CLOSE);
    expect(got).toMatchObject({ low: -Infinity, high: Infinity, pValue: 1, degrees: 0, distinguishable: false });
    expect(got.seeds).toEqual({ error: 0, low: -Infinity, high: Infinity, pValue: 1 });
  });

  it("seeds that differ by the same, and equal scores", () => {
    const alike = crossedDifference(scoresOf(["110", "011"]), scoresOf(["100", "001"]));
    expect(alike).toMatchObject({ low: -Infinity, high: Infinity, distinguishable: false });
    expectClose([alike.samples.error], [1 / 3], CLOSE);
    expect(crossedDifference(scoresOf(["110"]), scoresOf(["110"]))).toMatchObject({ mean: 0, pValue: 1 });
  });

  it("samples that all differ by the same add nothing, one sample tells nothing", () => {
    // One degree: t is tan(0.475 pi), and the error of 1 and 3 is 1.
    const reach = Math.tan(0.475 * Math.PI);
    const alike = crossedDifference(
      [
        [1, 2],
        [3, 4],
      ],
      [
        [0, 1],
        [0, 1],
      ],
    );
    expectClose([alike.mean, alike.low, alike.high], [2, 2 - reach, 2 + reach], CLOSE);
    expect(alike).toMatchObject({ degrees: 1, samples: { error: 0, low: -Infinity, high: Infinity, pValue: 1 } });
    const one = crossedDifference([[1], [3]], [[0], [0]]);
    expect(one).toMatchObject({ mean: 2, low: -Infinity, high: Infinity, pValue: 1, degrees: 0 });
  });

  it("of a figure that is no mean over samples the seeds alone tell", () => {
    const [two, one] = [differenceOverSeeds([3, 5], [2, 2]), differenceOverSeeds([3], [2])];
    const unknown = { error: 0, low: -Infinity, high: Infinity, pValue: 1 };
    const { low, high, pValue } = two;
    expect(two).toMatchObject({ mean: 2, degrees: 1, samples: unknown, seeds: { low, high, pValue } });
    expectClose([two.seeds.error, pValue], [1, 1 - (2 * Math.atan(2)) / Math.PI], CLOSE);
    expect(one).toMatchObject({ mean: 1, degrees: 0, samples: unknown, seeds: unknown });
  });

  it.each([
    { seeds: 5, ofSeed: 0.1, ofBoth: 1 },
    // Seeds matter most, and are few.
    { seeds: 2, ofSeed: 0.3, ofBoth: 0 },
    { seeds: 3, ofSeed: 0.3, ofBoth: 0 },
  ])("holds the true difference as often as it says, and more: $seeds seeds", ({ seeds, ofSeed, ofBoth }) => {
    // Students on 200 samples; sample, seed and both at once add to the difference, whose mean is 0.
    let state = 1;
    const uniform = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state + 0.5) / 2 ** 32;
    };
    const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
    const times = 1000;
    const outside = { both: 0, seeds: 0 };
    for (let k = 0; k < times; k++) {
      const bySample = Float64Array.from({ length: 200 }, normal);
      const a = Array.from({ length: seeds }, () => {
        const seed = ofSeed * normal();
        return bySample.map((x) => x + seed + ofBoth * normal());
      });
      const difference = crossedDifference(a, Array(seeds).fill(new Float64Array(200)));
      outside.both += Number(difference.distinguishable);
      outside.seeds += Number(difference.seeds.pValue < 0.05);
    }
    expect(outside.both / times).toBeLessThan(0.06);
    expect(outside.both / times).toBeGreaterThan(0.01);
    // Where samples matter as much, what the seeds alone say is wrong a fifth of the time or more.
    if (ofBoth > 0) expect(outside.seeds / times).toBeGreaterThan(0.15);
  });
});

it.each<[string, () => unknown]>([
  ["a: expected the scores of at least one seed", () => crossedDifference([], [])],
  ["b: expected 2 lists of scores, one for each of a", () => crossedDifference([[1], [1]], [[1]])],
  ["b[0]: expected 2 scores, got 1", () => crossedDifference([[1, 0]], [[1]])],
  ["a[0]: expected at least 1 scores, got 0", () => crossedDifference([[]], [[]])],
  ["a[0]: expected a list of scores, got undefined", () => crossedDifference([undefined] as never, [[1]])],
  ["b[0][1]: expected a finite number, got NaN", () => crossedDifference([[1, 0]], [[1, Number.NaN]])],
  ["pValues: expected a list of numbers, got null", () => holm(null as never)],
  ["pValues[1]: expected a number from 0 to 1, got NaN", () => holm([0.01, Number.NaN])],
  ["pValues[0]: expected a number from 0 to 1, got 1.5", () => holm([1.5])],
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
