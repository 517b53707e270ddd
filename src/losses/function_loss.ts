import { createHash } from "node:crypto";
import { Tensor } from "../tensor/tensor.js";
import type { DistillationLoss, LossBatch } from "./loss.js";
import { isMetricName } from "./metric_name.js";
import { onTrialBatch } from "./trial_batch.js";

/** Computes a scalar from a batch, or one with metrics for the logs. */
export type LossFunction = (batch: LossBatch) => Tensor | ReturnType<DistillationLoss["compute"]>;

/**
 * A function of the batch as a loss. It needs the teacher. Its configuration is its text and, because functions with
 * the same text may hold different values, the SHA-256 of its value for fixed random logits and targets; a function
 * that needs other inputs has only its text.
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

/** Without metrics unless it returns some; other results of a function are refused. */
function partsOf(given: ReturnType<LossFunction>): ReturnType<DistillationLoss["compute"]> {
  const isWithMetrics = typeof given === "object" && given !== null && "loss" in given;
  return isWithMetrics ? given : { loss: given, metrics: {} };
}

/** SHA-256 of a loss's value for random logits and targets of seed 0; null if these do not suffice to compute it. */
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
