import { createHash } from "node:crypto";
import { Tensor } from "../tensor/tensor.js";
import type { DistillationLoss, LossBatch } from "./loss.js";
import { isMetricName } from "./metric_name.js";
import { onTrialBatch } from "./trial_batch.js";

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

/** SHA-256 of a loss's value for random logits and targets of seed 0; null if it can't be computed from those alone. */
function hashOfValue(compute: LossFunction, classes: number): string | null {
  try {
    return onTrialBatch({ student: [classes], teacher: [classes], classes }, (batch) => {
      const { loss } = partsOf(compute(batch));
      return loss instanceof Tensor ? createHash("sha256").update(loss.data).digest("hex") : null;
    });
  } catch {
    return null;
  }
}
