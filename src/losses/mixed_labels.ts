import type { Labels } from "../tensor/int_tensor.js";
import { computeLoss, type DistillationLoss, type LossBatch } from "./loss.js";
import { isSum } from "./weighted_sum.js";

/** The second labels of mixed samples, and the weight of the first ones. */
export interface Mixture {
  readonly labels: Labels | null;
  readonly weight: number;
}

/**
 * The loss of mixed samples: w times the loss with their own labels plus 1 - w times the loss with the labels of the
 * samples they are mixed with; metrics are mixed in the same way. For the cross-entropy, which is linear in the labels,
 * this equals the loss with mixed labels. A loss that reads no labels, or such a term of a sum, is computed once.
 */
export function computeMixedLoss(
  loss: DistillationLoss,
  batch: LossBatch,
  mixture: Mixture,
): ReturnType<typeof computeLoss> {
  if (isSum(loss)) return loss.computeBy((term, own) => computeMixedLoss(term, own, mixture), batch);
  const { labels, weight } = mixture;
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
  const mixed = (first: number, second = first) => weight * first + (1 - weight) * second;
  const metrics = Object.entries(own.metrics).map(
    ([name, value]) => [name, mixed(value, other.metrics[name])] as const,
  );
  return {
    loss: own.loss.mul(weight).add(other.loss.mul(1 - weight)),
    metrics: Object.fromEntries(metrics),
    ...(own.unweighted !== undefined && { unweighted: mixed(own.unweighted, other.unweighted) }),
  };
}
