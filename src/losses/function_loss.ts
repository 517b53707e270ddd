import { createHash } from "node:crypto";
import { noGrad } from "../tensor/autograd.js";
import { IntTensor } from "../tensor/int_tensor.js";
import { Generator, rand, randn, withGenerator } from "../tensor/random.js";
import { step } from "../tensor/step.js";
import { Tensor } from "../tensor/tensor.js";
import type { DistillationLoss, LossBatch } from "./loss.js";
import { isMetricName } from "./metric_name.js";

/** Computes a scalar from a batch, or one with metrics for the logs. */
export type LossFunction = (batch: LossBatch) => Tensor | ReturnType<DistillationLoss["compute"]>;

/**
 * A function of the batch as a loss. It needs the teacher. Its configuration is its text and, as functions of one text
 * may hold different values, the SHA-256 of its value for fixed random logits and targets: a function that needs more
 * has its text only.
 */
export function functionLoss(compute: LossFunction, classes: number | null = null): DistillationLoss {
  return {
    name: isMetricName(compute.name) ? compute.name : "function",
    needsTeacher: true,
    compute: (batch) => partsOf(compute(batch)),
    config() {
      const valueHash = classes === null ? null : hashOfValue(compute, classes);
      return { function: String(compute), ...(valueHash !== null && { valueHash }) };
    },
  };
}

/** Without metrics unless it has some; what else a function gives is refused as a loss. */
function partsOf(given: ReturnType<LossFunction>): ReturnType<DistillationLoss["compute"]> {
  const isWithMetrics = typeof given === "object" && given !== null && "loss" in given;
  return isWithMetrics ? given : { loss: given, metrics: {} };
}

const ROWS = 8;

/** SHA-256 of a loss's value for random logits and targets of seed 0; null if it can't be computed from those alone. */
function hashOfValue(compute: LossFunction, classes: number): string | null {
  const value = () => {
    const outputs = () => ({ logits: randn([ROWS, classes]), taps: {} });
    const indices = Int32Array.from({ length: ROWS }, (_, i) => i);
    const labels = new IntTensor(indices.map((i) => i % classes));
    const [student, teacher, targets] = [outputs(), outputs(), rand([ROWS, classes])];
    return compute({ student, teacher, labels, targets, indices, epoch: 1, epochs: 1, step: 0, steps: 1 });
  };
  const hash = () => {
    const { loss } = partsOf(noGrad(value));
    return loss instanceof Tensor ? createHash("sha256").update(loss.data).digest("hex") : null;
  };
  try {
    return step(() => withGenerator(new Generator(0), hash));
  } catch {
    return null;
  }
}
