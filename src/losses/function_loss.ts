import { createHash } from "node:crypto";
import { noGrad } from "../tensor/autograd.js";
import { IntTensor } from "../tensor/int_tensor.js";
import { Generator, rand, randn, withGenerator } from "../tensor/random.js";
import { step } from "../tensor/step.js";
import { Tensor } from "../tensor/tensor.js";
import type { DistillationLoss, LossBatch } from "./loss.js";
import { isMetricName } from "./metric_name.js";

/** Computes a scalar from a batch. */
export type LossFunction = (batch: LossBatch) => Tensor;

/**
 * A function of the batch as a loss. It needs the teacher. Its configuration is its text and, as functions of one text
 * may hold different values, the SHA-256 of its value for fixed random logits and targets: a function that needs more
 * has its text only.
 */
export function functionLoss(compute: LossFunction, classes: number | null = null): DistillationLoss {
  return {
    name: isMetricName(compute.name) ? compute.name : "function",
    needsTeacher: true,
    compute: (batch) => ({ loss: compute(batch), metrics: {} }),
    config() {
      const valueHash = classes === null ? null : hashOfValue(compute, classes);
      return { function: String(compute), ...(valueHash !== null && { valueHash }) };
    },
  };
}

const ROWS = 8;

/** SHA-256 of a loss's value for random logits and targets of seed 0; null if it can't be computed from those alone. */
function hashOfValue(compute: LossFunction, classes: number): string | null {
  const value = () => {
    const outputs = () => ({ logits: randn([ROWS, classes]), taps: {} });
    const indices = Int32Array.from({ length: ROWS }, (_, i) => i);
    const labels = new IntTensor(indices.map((i) => i % classes));
    const [student, teacher, targets] = [outputs(), outputs(), rand([ROWS, classes])];
    return compute({ student, teacher, labels, targets, indices, epoch: 1, epochs: 1 });
  };
  const hash = () => {
    const given = noGrad(value);
    return given instanceof Tensor ? createHash("sha256").update(given.data).digest("hex") : null;
  };
  try {
    return step(() => withGenerator(new Generator(0), hash));
  } catch {
    return null;
  }
}
