import { expect, test } from "vitest";
import { flattenRecord, formatEpoch } from "../../src/index.js";

const metrics = { loss: 0.98456 };
const record = { epoch: 1, epochs: 150, metrics, lr: 3.0742e-5, seconds: 0.5, samplesPerSecond: 2048 };

test.each([
  [{}, "Epoch [1/150] | KD Loss: 0.9846 | LR: 0.000031"],
  [{ epoch: 150, metrics: { loss: 0 }, lr: 3e-7 }, "Epoch [150/150] | KD Loss: 0.0000 | LR: 0.000000"],
  [{ epoch: 3, epochs: 3, metrics: { loss: 12.00006 }, lr: 0.1 }, "Epoch [3/3] | KD Loss: 12.0001 | LR: 0.100000"],
  [
    { metrics: { ...metrics, validationLoss: 1, validationAccuracy: 0.88124, agreement: 0.95396 } },
    "Epoch [1/150] | KD Loss: 0.9846 | LR: 0.000031 | Validation: 88.12% | Agreement: 95.40%",
  ],
  [
    { metrics: { ...metrics, validationAccuracy: 0 } },
    "Epoch [1/150] | KD Loss: 0.9846 | LR: 0.000031 | Validation: 0.00%",
  ],
  [{ metrics: { loss: 1234.5, soft: 1, hard: 2 }, lr: 6e-4 }, "Epoch [1/150] | KD Loss: 1234.5000 | LR: 0.000600"],
])("%o", (change, line) => {
  expect(formatEpoch("KD Loss", { ...record, ...change })).toBe(line);
});

test("the loss has the name that is given", () => {
  expect(formatEpoch("Loss", record)).toBe("Epoch [1/150] | Loss: 0.9846 | LR: 0.000031");
});

test("with details, the loss's own metrics by their names", () => {
  const detailed = {
    ...record,
    metrics: { loss: 1, "dkd/target": 0.25, nckd: 1e-6, validationAccuracy: 0.5, validationLoss: 2 },
  };
  expect(formatEpoch("Loss", detailed, { details: true })).toBe(
    "Epoch [1/150] | Loss: 1.0000 | LR: 0.000031 | dkd/target: 0.2500 | nckd: 0.0000 | Validation: 50.00%",
  );
});

test.each([
  [80, "Epoch [1/150] | Loss: 1.0000 | LR: 0.000031 | soft: 0.2500 | Val: 50.00% | Agree: 95.00%"],
  [79, "Epoch [1/150] | Loss: 1.0000 | soft: 0.2500 | Val: 50.00% | Agree: 95.00%"],
  [60, "Epoch [1/150] | Loss: 1.0000 | Val: 50.00% | Agree: 95.00%"],
  [10, "Epoch [1/150] | Loss: 1.0000 | Val: 50.00% | Agree: 95.00%"],
])("in %i columns", (width, line) => {
  const long = { ...record, metrics: { loss: 1, soft: 0.25, validationAccuracy: 0.5, agreement: 0.95 } };
  expect(formatEpoch("Loss", long, { details: true, width: width === 80 ? line.length : width })).toBe(line);
  expect(() => formatEpoch("Loss", long, { width: 0 })).toThrow("width: expected a whole number of at least 1, got 0");
});

test("what is no name or no record is refused", () => {
  for (const name of [Symbol("s"), Object.create(null), undefined]) {
    expect(() => formatEpoch(name as never, record)).toThrow(/^lossName: expected a name, got /);
  }
  expect(() => flattenRecord(null as never)).toThrow("record: expected an epoch record, got null");
});
