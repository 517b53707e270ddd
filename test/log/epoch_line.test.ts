import { expect, test } from "vitest";
import { formatEpoch } from "../../src/index.js";

const record = { epoch: 1, epochs: 150, loss: 0.98456, lr: 3.0742e-5, seconds: 0.5, samplesPerSecond: 2048 };

test.each([
  [{}, "Epoch [1/150] | KD Loss: 0.9846 | LR: 0.000031"],
  [{ epoch: 150, loss: 0, lr: 3e-7 }, "Epoch [150/150] | KD Loss: 0.0000 | LR: 0.000000"],
  [{ epoch: 3, epochs: 3, loss: 12.00006, lr: 0.1 }, "Epoch [3/3] | KD Loss: 12.0001 | LR: 0.100000"],
  [
    { validationLoss: 1, validationAccuracy: 0.88124, agreement: 0.95396 },
    "Epoch [1/150] | KD Loss: 0.9846 | LR: 0.000031 | Validation: 88.12% | Agreement: 95.40%",
  ],
  [{ validationAccuracy: 0 }, "Epoch [1/150] | KD Loss: 0.9846 | LR: 0.000031 | Validation: 0.00%"],
  [{ loss: 1234.5, lr: 6e-4, soft: 1, hard: 2 }, "Epoch [1/150] | KD Loss: 1234.5000 | LR: 0.000600"],
])("%o", (change, line) => {
  expect(formatEpoch("KD Loss", { ...record, ...change })).toBe(line);
});

test("the loss has the name that is given", () => {
  expect(formatEpoch("Loss", record)).toBe("Epoch [1/150] | Loss: 0.9846 | LR: 0.000031");
});
