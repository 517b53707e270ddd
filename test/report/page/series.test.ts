import { expect, test } from "vitest";
import { lossMetrics, metricOf, rangeOf } from "../../../src/report/page/series.js";

test("a student's figure on the validation set is no part of the loss", () => {
  const metrics = {
    loss: 3,
    validationLoss: 1,
    validationAccuracy: 0.5,
    agreement: 0.6,
    "student-1.loss": 2,
    "student-1.cross-entropy": 1.5,
    "student-1.validationAccuracy": 0.4,
  };
  expect(lossMetrics([{ epoch: 1, metrics } as never])).toEqual(["student-1.loss", "student-1.cross-entropy"]);
  const { metric, of } = metricOf("student-1.validationAccuracy");
  expect([metric?.name, of]).toEqual(["accuracy", "student-1"]);
  expect(metricOf("validationAccuracy").of).toBeNull();
  expect(metricOf("student-1.kd").metric).toBeNull();
});

test("the range of more values than a call takes arguments", () => {
  const values = Array.from({ length: 500_000 }, (_, i) => (i === 7 ? 0.5 : i + 1));
  expect(rangeOf(values)).toEqual([0.5, 500_000]);
});
