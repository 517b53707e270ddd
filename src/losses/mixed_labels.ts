import type { Labels } from "../tensor/int_tensor.js";
import { computeLoss, type DistillationLoss, type LossBatch } from "./loss.js";

/** The second labels of mixed samples, and how much the first ones count. */
export interface Mixture {
  readonly labels: Labels | null;
  readonly weight: number;
}

/**
 * The loss of mixed samples: w times that with their own labels and 1 - w times that with the labels of those that they are mixed
 * with, and so the metrics. Of the cross-entropy, which is linear in the labels, that is the one with mixed labels. A loss
 * that reads no labels is computed once.
 */
export function computeMixedLoss(
  loss: DistillationLoss,
  batch: LossBatch,
  { labels, weight }: Mixture,
): ReturnType<typeof computeLoss> {
  let isRead = false;
  const watched: LossBatch = {
    ...batch,
    isMixed: true,
    get labels() {
      isRead = true;
      return batch.labels;
    },
  };
  const own = computeLoss(loss, watched);
  if (!isRead || labels === null) return own;
  const other = computeLoss(loss, { ...batch, isMixed: true, labels });
  const metrics = Object.entries(own.metrics).map(([name, value]): [string, number] => [
    name,
    weight * value + (1 - weight) * (other.metrics[name] ?? value),
  ]);
  return { loss: own.loss.mul(weight).add(other.loss.mul(1 - weight)), metrics: Object.fromEntries(metrics) };
}
