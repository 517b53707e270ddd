import { describe, expect, test } from "vitest";
import { calibrationSummary } from "../../src/compare/summary.js";
import {
  type CompareResult,
  compareCaveats,
  compareSummary,
  DistilleryError,
  methodsSummary,
  type SweepResult,
  scopeOf,
  sweepCaveats,
  sweepSummary,
} from "../../src/index.js";

/** A result with nothing but what the answer is made of. */
const compared = (best: Partial<CompareResult["difference"]["best"]>, seeds = 5): CompareResult =>
  ({
    kind: "compare",
    seeds: Array.from({ length: seeds }, (_, i) => i),
    difference: { best: { confidence: 0.95, ...best } },
  }) as CompareResult;

test("a calibration that no temperature makes better, and of several losses whose it is", () => {
  const calibration = {
    teacher: { error: { mean: 0.196 }, temperature: null, scaledError: null },
    baseline: null,
    distilled: { error: { mean: 0.2 }, temperature: { mean: 2 }, scaledError: { mean: 0.1 } },
  };
  const result = {
    kind: "compare",
    changes: { calibration },
    methods: [{ name: "kd" }, { name: "dkd" }],
  } as unknown as CompareResult;
  expect(calibrationSummary(result)).toMatch(/: teacher 19\.60% \(no temperature fits\), kd 20\.00% -> 10\.00%\.$/);
});

describe("a comparison's answer", () => {
  test.each<[Parameters<typeof compared>, string]>([
    [
      [{ mean: 0.0055, low: 0.0031, high: 0.0079, distinguishable: true }],
      "Distilling raised test accuracy by 0.55 points (95% interval 0.31 to 0.79, 5 seeds): distinguishable from chance.",
    ],
    [
      [{ mean: 0.0027, low: -0.01, high: 0.0154, distinguishable: false }, 2],
      "Distilling changed test accuracy by +0.27 points (95% interval -1.00 to 1.54, 2 seeds): not distinguishable from chance.",
    ],
    [
      [{ mean: -0.01, low: -0.015, high: -0.005, distinguishable: true, confidence: 0.9 }, 3],
      "Distilling lowered test accuracy by 1.00 points (90% interval 0.50 to 1.50, 3 seeds): distinguishable from chance.",
    ],
    [
      [{ mean: 0.004, low: -Infinity, high: Infinity, distinguishable: false }, 1],
      "Distilling changed test accuracy by +0.40 points (1 seed): one pair can't tell it from chance; give more seeds.",
    ],
    [
      [{ mean: 0, low: -Infinity, high: Infinity, distinguishable: false }],
      "Distilling changed test accuracy by 0.00 points with each of 5 seeds alike: how far chance reaches is not known; give more seeds.",
    ],
  ])("%j", (given, sentence) => expect(compareSummary(compared(...given))).toBe(sentence));
});

describe("what has to be known beside it", () => {
  const of = (best: object, last: object, validation: object, seeds = [0, 1]) =>
    compareCaveats({ kind: "compare", seeds, difference: { best, last, validation } } as CompareResult);
  const yes = { distinguishable: true, mean: 0.002 };
  const no = { distinguishable: false, mean: 0.001 };
  const up = { mean: 0.001, pValue: 0.2 };

  test("what the interval covers; nothing of one seed", () => {
    expect(of(yes, yes, up)).toEqual([
      "Intervals are for other seeds and other test samples of the same kind, not for another teacher, data set, split or setting.",
    ]);
    const ofSeeds = { ...yes, samples: { low: -Infinity } };
    expect(of(ofSeeds, ofSeeds, up)).toEqual([
      "Intervals are for other seeds, not for other test samples, another teacher, data set, split or setting.",
    ]);
    expect(of(yes, yes, up, [0])).toEqual([]);
  });

  test("answers that contradict each other", () => {
    const text =
      "Best and last epoch give different answers: the evidence depends on which weights are taken, so it is weak.";
    expect(of(yes, no, up)[0]).toBe(text);
    expect(of(no, yes, up)[0]).toBe(text);
    expect(of(yes, { ...yes, mean: -0.002 }, up)[0]).toBe(text);
    expect(of(no, no, up)).toHaveLength(1);
    expect(of(yes, yes, { mean: -0.0015, pValue: 0.034 })[0]).toBe(
      "On the validation set, which chose the epochs, the difference is the other way round (-0.15 points, p 0.034).",
    );
  });
});

test("seeds that agree on these test samples alone", () => {
  const of = (pValue: number) => {
    const seeds = { error: 0.0004, low: 0.0012, high: 0.0035, pValue };
    return compareSummary(compared({ mean: 0.0023, low: -0.0001, high: 0.0047, distinguishable: false, seeds }));
  };
  const unclear =
    "Distilling changed test accuracy by +0.23 points (95% interval -0.01 to 0.47, 5 seeds): not distinguishable from chance";
  expect(of(0.005)).toBe(
    `${unclear}; with these test samples it holds for other seeds (0.12 to 0.35), with others it may not.`,
  );
  expect(of(0.06)).toBe(`${unclear}.`);
});

test("a sweep's answer", () => {
  const best = { temperature: 4, alpha: 0.9, validationAccuracy: 0.9012, evaluation: { accuracy: 0.8955 } };
  expect(sweepSummary({ kind: "sweep", best } as unknown as SweepResult)).toBe(
    "Best with temperature 4 and alpha 0.9: 90.12% on the validation set, 89.55% on the test set.",
  );
});

test("a sweep's answer over several seeds, and what it can tell apart", () => {
  const chosen = { temperature: 4, alpha: 0.9, validationAccuracy: 0.9012 };
  const best = {
    ...chosen,
    spread: { figure: { std: 0.0021 } },
    evaluation: { accuracy: 0.8955 },
    test: { accuracy: { mean: 0.8961, std: 0.0012 } },
  };
  const [clear, close] = [true, false].map((significant) => ({ spread: { lead: { significant, mean: 0.01 } } }));
  const caveats = (seeds: number, ...points: unknown[]) =>
    sweepCaveats({
      kind: "sweep",
      best,
      points: [{ spread: { lead: null } }, ...points],
      seeds: [0, 1, 2].slice(0, seeds),
    } as unknown as SweepResult);
  expect(sweepSummary({ kind: "sweep", best, seeds: [0, 1, 2] } as unknown as SweepResult)).toBe(
    "Best with temperature 4 and alpha 0.9: 90.12% ± 0.21 on the validation set, 89.61% ± 0.12 on the test set (mean and sd of 3 seeds).",
  );
  expect(caveats(3, clear, close, close)[0]).toBe(
    "Its lead is distinguishable from chance against 1 of the 3 other points, not distinguishable against 2 of the 3 other points (paired over 3 seeds, p corrected for 3 points).",
  );
  expect(caveats(3, close, close)[0]).toBe(
    "Its lead is not distinguishable from chance against any of the 2 other points (paired over 3 seeds, p corrected for 2 points).",
  );
  expect(caveats(2, clear)[0]).toBe(
    "Its lead is distinguishable from chance against the other point (paired over 2 seeds, p corrected for 1 point).",
  );
  expect(caveats(2, close)[0]).toBe(
    "Its lead is not distinguishable from chance against the other point (paired over 2 seeds, p corrected for 1 point).",
  );
  expect(caveats(1, close)).toEqual(["1 seed can't tell its lead from chance; give more seeds."]);
  expect(caveats(3)).toEqual([]);
});

test("a comparison's answer for the last epoch", () => {
  const last = { mean: -0.0008, low: -0.003, high: 0.0014, confidence: 0.95, distinguishable: false };
  const result = { kind: "compare", seeds: [0, 1], difference: { last } } as CompareResult;
  expect(compareSummary(result, "last")).toBe(
    "Distilling changed the last epoch's test accuracy by -0.08 points (95% interval -0.30 to 0.14, 2 seeds): not distinguishable from chance.",
  );
});

describe("what is no result of theirs is refused by name", () => {
  const refused = (body: () => unknown) => {
    expect(body).toThrow(DistilleryError);
    expect(body).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
    return expect(body);
  };

  test.each([compareSummary, compareCaveats, calibrationSummary, methodsSummary, scopeOf])(
    "$name",
    (summary: (result: CompareResult) => unknown) => {
      refused(() => summary(undefined as never)).toThrow("result: expected what compare() gives, got undefined");
      refused(() => summary([] as never)).toThrow("result: expected what compare() gives, got an empty list");
      refused(() => summary({ kind: "sweep" } as never)).toThrow('result: expected what compare() gives, got "sweep"');
    },
  );

  test.each([sweepSummary, sweepCaveats])("$name", (summary: (result: SweepResult) => unknown) => {
    refused(() => summary(null as never)).toThrow("result: expected what sweep() gives, got null");
    refused(() => summary({} as never)).toThrow("result: expected what sweep() gives, got a value of type Object");
  });

  test("a result without its parts", () => {
    const cut = { kind: "compare", seeds: [0, 1], methods: [], difference: {} } as unknown as CompareResult;
    const expected = "expected what compare() gives, got undefined";
    refused(() => compareSummary({ kind: "compare" } as CompareResult)).toThrow(`result.seeds: ${expected}`);
    refused(() => compareSummary(cut, "last")).toThrow(`result.difference.last: ${expected}`);
    for (const summary of [compareCaveats, scopeOf]) {
      refused(() => summary(cut)).toThrow(`result.difference.best: ${expected}`);
    }
    refused(() => calibrationSummary(cut)).toThrow(`result.changes: ${expected}`);
    refused(() => methodsSummary({ ...cut, methods: undefined } as never)).toThrow(`result.methods: ${expected}`);
    const swept = { kind: "sweep", seeds: [0] } as SweepResult;
    refused(() => sweepSummary(swept)).toThrow("result.best: expected what sweep() gives, got undefined");
    refused(() => sweepCaveats(swept)).toThrow("result.points: expected what sweep() gives, got undefined");
  });

  test("weights", () => {
    refused(() => compareSummary(compared({}), "lst" as never)).toThrow(
      'weights: expected "best" or "last", got "lst", did you mean last?',
    );
  });
});
