import { join } from "node:path";
import { expect, test } from "vitest";
import { classDifferences, fidelityOf, flipsOf, spreadOf } from "../../src/compare/behaviour.js";
import { crossedDifference } from "../../src/compare/crossed_difference.js";
import { calibrationSummary } from "../../src/compare/summary.js";
import {
  augment,
  type ComparedBehaviour,
  compare,
  evaluate,
  evaluateLogits,
  F,
  holm,
  labelsOf,
  load,
  logitsOf,
  splitDataset,
  tensor,
} from "../../src/index.js";
import { expectClose } from "../parity/close.js";
import { temporaryFolder } from "../support.js";
import { compareInput, PROBLEM } from "./support.js";

const temporary = temporaryFolder();

test("fidelity is agreement and the divergence that the losses have", () => {
  const [student, teacher] = [
    tensor([
      [2, 0.5, -1],
      [0, 1, 3],
    ]),
    tensor([
      [1, 1.5, 0],
      [-2, 0, 4],
    ]),
  ];
  const { agreement, divergence } = fidelityOf(student, teacher);
  expect(agreement).toBe(0.5);
  const torch = F.klDiv(F.logSoftmax(student), F.softmax(teacher), { reduction: "batchmean" }).item();
  expectClose([divergence], [torch], { rel: 1e-5 });
  expect(fidelityOf(student, student)).toEqual({ agreement: 1, divergence: 0 });
});

test("fidelity to a teacher that rules a class out; none of a student that alone does", () => {
  const rulesOut = tensor([[1, 2, Number.NEGATIVE_INFINITY]]);
  const other = tensor([[2, 1, 0]]);
  const almost = fidelityOf(other, tensor([[1, 2, -100]]));
  const of = fidelityOf(other, rulesOut);
  expectClose(Object.values(of), Object.values(almost), { rel: 1e-6 });
  expect(spreadOf([of, almost])?.divergence.values).toEqual([of.divergence, almost.divergence]);
  expect(spreadOf([of, fidelityOf(rulesOut, other)])).toBe(null);
});

test("flips, by hand", () => {
  const { gained, lost } = flipsOf(
    [Uint8Array.of(1, 1, 0, 0), Uint8Array.of(1, 0, 1, 1)],
    [
      [0, 1, 1, 0],
      [0, 0, 1, 0],
    ],
  );
  expect([gained.values, lost.values]).toEqual([
    [0.25, 0.5],
    [0.25, 0],
  ]);
});

test("classes: each by its own samples, corrected for their number; one without samples is left out", () => {
  const labels = Int32Array.of(0, 0, 0, 2, 2);
  const [now, before] = [
    [Uint8Array.of(1, 1, 0, 1, 0), Uint8Array.of(1, 1, 1, 0, 0)],
    [Uint8Array.of(0, 1, 0, 1, 1), Uint8Array.of(0, 0, 1, 1, 0)],
  ];
  const all = classDifferences(now, before, labels, 3);
  expect(all.map((one) => [one.class, one.support])).toEqual([
    [0, 3],
    [2, 2],
  ]);
  expectClose([all[0].baseline, all[0].distilled], [1 / 3, 5 / 6], { rel: 1e-12 });
  const first = crossedDifference(
    now.map((x) => x.slice(0, 3)),
    before.map((x) => x.slice(0, 3)),
  );
  expect(all[0]).toMatchObject({ mean: first.mean, low: first.low, pValue: first.pValue });
  expect(all.map((one) => one.correctedPValue)).toEqual(holm(all.map((one) => one.pValue)));
});

test("compare has them of its students' files", async () => {
  const out = join(temporary, "run");
  const result = await compare(compareInput(out, { seeds: 2 }));
  const { changes, teacher, distilled, baseline, difference } = result;
  const { train, heldOut } = splitDataset(PROBLEM.data, { fraction: 0.1, seed: 0 });
  const large = PROBLEM.teacher();
  large.loadStateDict(await load(teacher.file as string));
  for (const [kind, { files }] of Object.entries({ baseline, distilled })) {
    const { test: onTest, training } = (changes as NonNullable<typeof changes>).fidelity[kind as "baseline"];
    for (const [i, file] of files.entries()) {
      const student = PROBLEM.student().loadStateDict(await load(file));
      expect(onTest?.agreement.values[i]).toBe(evaluate(student, PROBLEM.test, { teacher: large }).agreement);
      expect(training?.agreement.values[i]).toBe(evaluate(student, train, { teacher: large }).agreement);
      const of = changes?.calibration[kind as "baseline"];
      expect(of?.error.values[i]).toBe(evaluate(student, PROBLEM.test).calibration.error);
      const temperature = of?.temperature?.values[i] as number;
      // The best one on the validation set: a little more and a little less fit its labels worse.
      const lossAt = (t: number) => evaluateLogits(logitsOf(student, heldOut).div(t), labelsOf(heldOut)).loss;
      for (const other of [0.99, 1.01]) expect(lossAt(other * temperature)).toBeGreaterThan(lossAt(temperature));
      const scaled = evaluateLogits(logitsOf(student, PROBLEM.test).div(temperature), labelsOf(PROBLEM.test));
      expect(of?.scaledError?.values[i]).toBe(scaled.calibration.error);
    }
  }
  expect(changes?.calibration.teacher?.error.values).toEqual([evaluate(large, PROBLEM.test).calibration.error]);
  expect(calibrationSummary(result)).toMatch(
    /^Calibration error on the test set, before and after temperature scaling \(fitted on the validation set\): teacher \d+\.\d\d% -> \d+\.\d\d%, baseline .* -> .*%, distilled .* -> .*%\.$/,
  );
  const { gained, lost } = (changes as NonNullable<typeof changes>).flips.baseline;
  expectClose([gained.mean - lost.mean], [difference.best.mean], { rel: 1e-9, abs: 1e-12 });
  const weighted = changes?.perClass.reduce((sum, one) => sum + (one.mean * one.support) / 150, 0);
  expectClose([weighted as number], [difference.best.mean], { rel: 1e-9, abs: 1e-12 });
});

test("of training data that change at random there is no fidelity; the test set has its own", async () => {
  const data = augment(PROBLEM.data, { noise: 0.1 });
  const result = await compare(compareInput(join(temporary, "augmented"), { data, seeds: 1 }));
  const teacher = PROBLEM.teacher().loadStateDict(await load(result.teacher.file as string));
  for (const kind of ["baseline", "distilled"] as const) {
    const { test, training } = (result.changes as ComparedBehaviour).fidelity[kind];
    expect(training).toBe(null);
    const student = PROBLEM.student().loadStateDict(await load(result[kind].files[0]));
    expect(test?.agreement.values).toEqual([evaluate(student, PROBLEM.test, { teacher }).agreement]);
  }
});
