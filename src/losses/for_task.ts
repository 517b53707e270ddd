import { DistilleryError } from "../errors.js";
import type { Entry } from "../registry/index.js";
import type { DistillationLoss, LossContext } from "./loss.js";

/** Losses that read logits as those of classes, of which a sample has one. */
const OF_CLASSES = new Set(["cross-entropy", "kd", "logit-standardized-kd", "dkd", "dist", "jsd", "top-k-kd"]);

/** What there is for other tasks instead. */
const OTHERS = {
  regression: "mse, mae and huber compare with the targets, logit-mse with the teacher's values",
  "multi-label": "bce compares with the labels, multi-label-kd with the teacher's",
  vectors: "cosine and mse compare with the vectors, vector-kd with the teacher's",
} as const;

/**
 * A loss's entry that refuses data of a task that it is not for: a softmax over outputs that are no classes means nothing, and
 * of one output it is always 1, from which nothing is learnt.
 */
export function forTask(entry: Entry<DistillationLoss, LossContext>): Entry<DistillationLoss, LossContext> {
  if (!OF_CLASSES.has(entry.name)) return entry;
  return {
    ...entry,
    create(options, context) {
      const task = context?.task ?? "classification";
      if (task === "classification") return entry.create(options, context);
      const text = `${entry.name} is for classes, and the data are for ${task}: ${OTHERS[task]}`;
      throw new DistilleryError("BAD_ARGUMENT", `loss: ${text}`);
    },
  };
}
