import { beforeAll, describe, expect, test } from "vitest";
import type { SweepResult } from "../../src/compare/index.js";
import type { RunReport } from "../../src/report/report_data.js";
import { runReport } from "../../src/report/run_report.js";
import { samplingMargin } from "../../src/report/sweep_points.js";
import { compareVerdict, runVerdict, sweepVerdict } from "../../src/report/verdict.js";
import { compareResult, sweepResult, type Trained, trained } from "./support.js";

let run: Trained;
beforeAll(async () => {
  run = await trained();
});

describe("a comparison", () => {
  const baseline = [0.9, 0.902, 0.898, 0.901, 0.899];

  test("helped: the difference with its interval and p value", () => {
    // NumPy: the seeds' error is 0.0003 and the samples' 0.00063; of 43 degrees the interval is 0.0043 to 0.0071.
    const { answer, headline, detail } = compareVerdict(
      compareResult(run, baseline, [0.905, 0.908, 0.904, 0.906, 0.9055]),
    );
    expect([answer, headline]).toEqual(["yes", "Yes: distilling raised test accuracy by 0.57 points"]);
    expect(detail).toMatch(
      /^95% interval \+0\.43 to \+0\.71 points for other seeds and other test samples, 5 seeds, p below 0\.001\. /,
    );
    const own = "The distilled student gets 90.57%\u00a0\u00b1\u00a00.15 of 96 test samples right";
    expect(detail).toContain(`${own}, the baseline student 90.00%\u00a0\u00b1\u00a00.16, the teacher `);
  });

  test("lowered accuracy, no clear difference, and one seed", () => {
    const of = (distilled: number[]) =>
      compareVerdict(compareResult(run, baseline.slice(0, distilled.length), distilled));
    expect(of(baseline.map((x, i) => x - 0.003 + 0.0001 * (i - 2)))).toMatchObject({
      answer: "no",
      headline: "No: distilling lowered test accuracy by 0.30 points",
    });
    expect(of([0.91, 0.89, 0.898, 0.9, 0.9])).toMatchObject({
      answer: "unclear",
      headline: "Not distinguishable from chance: test accuracy changed by \u22120.04 points",
    });
    const one = of([0.91]);
    expect([one.answer, one.headline]).toEqual([
      "unclear",
      "One seed can't tell: test accuracy changed by +1.00 points",
    ]);
    expect(one.detail).not.toContain("interval +");
    const alike = of(baseline.map((x) => x - 0.003));
    expect([alike.answer, alike.headline]).toEqual([
      "unclear",
      "Seeds that are all alike can't tell: test accuracy changed by \u22120.30 points",
    ]);
  });
});

test("seeds that agree on these test samples alone", () => {
  const caveatsOf = (pValue: number) => {
    const result = compareResult(run, [0.9, 0.902], [0.905, 0.908]);
    const { best } = result.difference;
    const seeds = { error: 0.0004, low: 0.001, high: 0.003, pValue };
    const difference = { ...result.difference, best: { ...best, distinguishable: false, seeds } };
    return compareVerdict({ ...result, difference }).caveats;
  };
  expect(caveatsOf(0.01)?.[0]).toBe(
    "With these test samples the difference holds for other seeds (+0.10 to +0.30 points); with other samples it may not.",
  );
  expect(caveatsOf(0.01)?.slice(1)).toEqual(caveatsOf(0.06));
});

test("a sweep of another figure than accuracy says nothing of chance", () => {
  const point = (alpha: number, validationR2: number) => ({ temperature: 1, alpha, validationR2 });
  const best = { ...point(0.5, 0.4), evaluation: { r2: 0.41 } };
  const data = { task: "regression", validation: 40 };
  const result = { best, points: [best, point(1, 0.3)], data, teacher: { evaluation: null }, seeds: [0] };
  expect(sweepVerdict(result as unknown as SweepResult).detail).toBe(
    "On the test set, read once at the end, it gets 0.4100.",
  );
});

test("a sweep names its best point, and how many are as good", () => {
  const { headline, detail } = sweepVerdict(sweepResult(run, [0.5, 0.55, 0.6, 0.05, 0.8, 0.7]));
  expect(headline).toBe("Temperature 4 with alpha 0.5 does best: 80.00% on the validation set");
  // 1.96 sqrt(2 33/42 9/42 / 42) = 0.17549929
  expect(detail).toContain("With 40 validation samples less than 17.55 points may be chance: 1 of the 5 other points");
  expect(samplingMargin(0.8, 40)).toBeCloseTo(0.17549929, 8);
});

test("a sweep whose best point is all right, or all wrong, still says how far chance reaches", () => {
  const detailOf = (accuracies: number[]) => sweepVerdict(sweepResult(run, accuracies)).detail;
  // 1.96 sqrt(2 41/42 1/42 / 42) = 0.06520623
  const margin = "With 40 validation samples less than 6.52 points may be chance:";
  expect(detailOf([1, 0.5, 0.95, 0.9, 0.8, 0.7])).toContain(`${margin} 1 of the 5 other points is as close.`);
  expect(detailOf([1, 0.5, 0.5, 0.5, 0.5, 0.5])).toContain(`${margin} no other point is as close.`);
  expect(detailOf([0, 0, 0, 0, 0, 0])).toContain(`${margin} all 5 other points are as close.`);
});

describe("a run", () => {
  const verdictOf = (change: Partial<RunReport>) => {
    const { teacher, student, test: data, history } = run;
    const { verdict: _, ...report } = runReport({
      config: {},
      history,
      networks: { teacher, student },
      data: { test: data },
    });
    return runVerdict({ ...report, ...change });
  };

  test("its accuracy, its teacher's, and whose weights they are", () => {
    const evaluation = { accuracy: 0.9018, samples: 10_000, teacherAccuracy: 0.9045, agreement: 0.976 };
    const predictions = {
      part: "test",
      weights: "best",
      evaluation,
      mistakes: [],
    } as unknown as RunReport["predictions"];
    const sizes = {
      student: { parameters: 100, bytes: 400, latencyMs: 0.1 },
      teacher: { parameters: 790, bytes: 3160, latencyMs: 0.9 },
    };
    const { headline, detail } = verdictOf({
      predictions,
      sizes,
      lastMetric: 0.901,
      best: { epoch: 2, validationAccuracy: 0.9 },
    });
    expect(headline).toBe("The student gets 90.18% of 10,000 test samples right");
    expect(verdictOf({ predictions, config: { command: "mutual" } }).headline).toBe(
      "The mean of the students gets 90.18% of 10,000 test samples right",
    );
    expect(detail).toBe(
      "Its teacher gets 90.45%; they agree on 97.60% of them. The student has 7.9 times fewer parameters and runs 9.0 times as fast. The weights are those of epoch 2 of 3, best on the validation set; those of the last get 90.10%.",
    );
  });

  test("a student as large as its teacher, and a larger one", () => {
    const predictions = { part: "test", weights: "last", evaluation: { accuracy: 0.9, samples: 10 }, mistakes: [] };
    const detailOf = (parameters: number) => {
      const sizes = { student: { parameters, bytes: 1 }, teacher: { parameters: 100, bytes: 1 } };
      return verdictOf({ predictions: predictions as unknown as RunReport["predictions"], sizes }).detail;
    };
    expect(detailOf(100)).toBe("The student has as many parameters.");
    expect(detailOf(200)).toBe("The student has 2.0 times more parameters.");
  });

  test("without held-out data, its loss; without an epoch, nothing", () => {
    const record = { epochs: 2, lr: 0, seconds: 1, samplesPerSecond: 1 };
    const history = [
      { ...record, epoch: 1, metrics: { loss: 0.98462 } },
      { ...record, epoch: 2, metrics: { loss: 0.00123 } },
    ];
    expect(verdictOf({ predictions: null, history }).headline).toBe("The loss fell from 0.985 to 0.00123 in 2 epochs");
    expect(verdictOf({ predictions: null, history: [] }).headline).toBe("No epoch was trained");
  });
});

test("of several losses: those that help after correction, or that none does", () => {
  const baseline = [0.5, 0.51, 0.49, 0.5, 0.505];
  const up = (by: number[]) => baseline.map((x, i) => x + (by[i] ?? 0));
  const clear = [0.02, 0.021, 0.019, 0.02, 0.022];
  const unclear = [0.02, -0.02, 0.01, -0.01, 0.001];
  const some = compareVerdict(compareResult(run, baseline, up(unclear), up(clear), up(unclear)));
  expect(some.answer).toBe("yes");
  expect(some.headline).toBe("Better than the baseline: dkd (+2.04 points)");
  expect(some.detail).toContain("p values corrected for 3 methods (Holm)");
  const harmful = clear.map((x) => -x);
  const both = compareVerdict(compareResult(run, baseline, up(harmful), up(clear), up(unclear)));
  expect([both.headline, both.caveats?.[0]]).toEqual([
    "Better than the baseline: dkd (+2.04 points)",
    "Worse than the baseline: kd (\u22122.04 points).",
  ]);
  const worse = compareVerdict(compareResult(run, baseline, up(harmful), up(unclear)));
  expect([worse.answer, worse.headline]).toEqual(["no", "Worse than the baseline: kd (\u22122.04 points)"]);
  const twice = compareVerdict(compareResult(run, baseline, up(harmful), up(harmful)));
  expect(twice.headline).toBe("Worse than the baseline: kd (\u22122.04 points); dkd (\u22122.04 points)");
  expect(worse.caveats?.[0]).not.toMatch(/[\s(]-\d/);
  expect(worse.caveats?.[0]).toMatch(/^dkd: \+\d\.\d\d points of test accuracy against kd \(95% interval /);
  const none = compareVerdict(compareResult(run, baseline, up(unclear), up(unclear)));
  expect([none.answer, none.headline]).toEqual(["unclear", "Neither method is distinguishable from the baseline"]);
  const one = compareVerdict(compareResult(run, [0.5], [0.4], [0.52]));
  expect([one.answer, one.headline]).toEqual([
    "unclear",
    "One seed can't tell: kd (\u221210.00 points); dkd (+2.00 points)",
  ]);
  expect(one.detail).not.toContain("Holm");
});
