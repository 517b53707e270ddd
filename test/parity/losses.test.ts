import { describe, it } from "vitest";
import { crossEntropy, IntTensor, kdLoss } from "../../src/index.js";
import { expectClose } from "./close.js";
import { constant, gradOf, leaf, readFixture, type Stored } from "./fixture.js";

interface KdCase {
  kind: string;
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

interface CrossEntropyCase {
  kind: string;
  logits: Stored;
  labels: number[];
  loss: number;
  grad: number[];
}

const { kd, cross_entropy } = readFixture<{ kd: KdCase[]; cross_entropy: CrossEntropyCase[] }>("losses");

/** A few units of the last place (6e-8) of exponentials, logarithms and their sums; PyTorch is up to 3e-7 off. */
const LOSS = { rel: 1e-6, abs: 1e-7 };
const GRAD = { ofLargest: 1e-6 };

/**
 * KL is a small difference of terms of the size of log(p), each rounded at 6e-8 of itself, and then taken T² times:
 * that is how far PyTorch is from the value in double precision (3e-5 at T = 10), and from itself on another processor.
 */
function softTolerance(temperature: number) {
  return { rel: 1e-6, abs: 5e-7 * Math.max(1, temperature ** 2) };
}

describe("kdLoss is the script's", () => {
  for (const { kind, temperature, alpha, student, teacher, labels, ...expected } of kd) {
    const name = `${kind} logits [${student.shape}], T ${temperature}, alpha ${alpha}`;
    const ofAlpha = (weight: number) => {
      const logits = leaf(student);
      return { logits, loss: kdLoss(logits, constant(teacher), int(labels), { temperature, alpha: weight }) };
    };
    it(name, () => {
      const { logits, loss } = ofAlpha(alpha);
      expectClose([loss.item()], [expected.loss], softTolerance(temperature), "loss");
      expectClose([ofAlpha(1).loss.item()], [expected.soft], softTolerance(temperature), "soft part");
      expectClose([ofAlpha(0).loss.item()], [expected.hard], LOSS, "hard part");
      loss.backward();
      expectClose(gradOf(logits), expected.grad, GRAD, "gradient");
    });
  }
});

describe("crossEntropy is PyTorch's", () => {
  for (const { kind, logits, labels, loss, grad } of cross_entropy) {
    it(`${kind} logits [${logits.shape}]`, () => {
      const input = leaf(logits);
      const actual = crossEntropy(input, int(labels));
      expectClose([actual.item()], [loss], LOSS, "loss");
      actual.backward();
      expectClose(gradOf(input), grad, GRAD, "gradient");
    });
  }
});

function int(labels: number[]): IntTensor {
  return new IntTensor(Int32Array.from(labels));
}
