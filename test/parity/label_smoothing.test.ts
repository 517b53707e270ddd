import { describe, expect, it } from "vitest";
import { crossEntropy, kdLossParts } from "../../src/index.js";
import { expectClose } from "./close.js";
import { constant, gradOf, leaf, readFixture, type Stored } from "./fixture.js";

interface CrossEntropyCase {
  smoothing: number;
  logits: Stored;
  labels: number[];
  loss: number;
  grad: number[];
}

interface KdCase {
  smoothing: number;
  temperature: number;
  alpha: number;
  student: Stored;
  teacher: Stored;
  labels: number[];
  loss: number;
  soft: number;
  hard: number;
  grad: number[];
}

const { kd, cross_entropy } = readFixture<{ kd: KdCase[]; cross_entropy: CrossEntropyCase[] }>("label_smoothing");

/** As for the losses without smoothing; the divergence is taken T² times. */
const LOSS = { rel: 1e-6, abs: 1e-7 };
const GRAD = { ofLargest: 1e-6 };

describe("crossEntropy with label smoothing is PyTorch's", () => {
  it.each(cross_entropy)("$smoothing of logits $logits.shape", ({ smoothing, logits, labels, loss, grad }) => {
    const input = leaf(logits);
    const actual = crossEntropy(input, Int32Array.from(labels), { labelSmoothing: smoothing });
    expectClose([actual.item()], [loss], LOSS, "loss");
    actual.backward();
    expectClose(gradOf(input), grad, GRAD, "gradient");
  });
});

describe("kdLoss with label smoothing smooths its hard part, as PyTorch's CrossEntropyLoss", () => {
  it.each(kd)(
    "$smoothing of logits $student.shape, alpha $alpha",
    ({ smoothing, student, teacher, labels, ...rest }) => {
      const { temperature, alpha, ...expected } = rest;
      const logits = leaf(student);
      const options = { temperature, alpha, labelSmoothing: smoothing };
      const { loss, soft, hard } = kdLossParts(logits, constant(teacher), Int32Array.from(labels), options);
      const softTolerance = { rel: 1e-6, abs: 5e-7 * temperature ** 2 };
      expectClose([loss.item()], [expected.loss], softTolerance, "loss");
      expectClose([soft], [expected.soft], softTolerance, "soft part");
      expectClose([hard], [expected.hard], LOSS, "hard part");
      loss.backward();
      expectClose(gradOf(logits), expected.grad, GRAD, "gradient");
    },
  );

  it("of nothing is what it is without", () => {
    for (const { student, teacher, labels, temperature, alpha } of kd) {
      const [plain, smoothed] = [{}, { labelSmoothing: 0 }].map((more) => {
        const logits = leaf(student);
        const options = { temperature, alpha, ...more };
        const { loss, hard } = kdLossParts(logits, constant(teacher), Int32Array.from(labels), options);
        loss.backward();
        return { loss: loss.item(), hard, grad: gradOf(logits) };
      });
      expect(smoothed).toEqual(plain);
    }
  });
});
