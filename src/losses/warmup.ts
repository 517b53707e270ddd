import * as v from "valibot";
import { described, type Entry, integer } from "../registry/index.js";
import { changedLoss, type DistillationLoss, type LossContext } from "./loss.js";

/** A loss entry that takes `warmup`, a number of epochs, besides its own options. */
export function withWarmup<E extends v.ObjectEntries>(
  entry: Entry<DistillationLoss, LossContext, E>,
): Entry<DistillationLoss, LossContext> {
  const text = "epochs in which its weight rises evenly to the full one (default: full from the start)";
  return {
    ...entry,
    options: { ...entry.options, warmup: described(v.optional(integer(1)), text) },
    create: ({ warmup, ...options }, context) =>
      warmedUp(entry.create(options as never, context), warmup as number | undefined),
  };
}

/**
 * A loss times min(epoch / warmup, 1), with epochs counted from 1, as in DKD and ReviewKD. It depends only on the
 * epoch, so that a resumed run has the same.
 */
function warmedUp(loss: DistillationLoss, warmup: number | undefined): DistillationLoss {
  if (warmup === undefined) return loss;
  return changedLoss(loss, {
    compute(batch) {
      const { loss: value, metrics } = loss.compute(batch);
      const factor = Math.min(batch.epoch / warmup, 1);
      return factor === 1 ? { loss: value, metrics } : { loss: value.mul(factor), metrics, unweighted: value.item() };
    },
    config: () => ({ loss: loss.config(), warmup }),
  });
}
