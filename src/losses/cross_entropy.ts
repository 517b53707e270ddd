import * as v from "valibot";
import { optionsOf } from "../checks.js";
import {
  CROSS_ENTROPY_DEFAULTS,
  type CrossEntropyOptions,
  crossEntropy,
  expectLabelSmoothing,
} from "../ops/cross_entropy.js";
import { indexSelect } from "../ops/index.js";
import { defineEntry, described, fraction } from "../registry/index.js";
import { IntTensor, type Labels, labelData } from "../tensor/int_tensor.js";
import type { Tensor } from "../tensor/tensor.js";
import { type DistillationLoss, type LossContext, labelledRows, someLabelsFor } from "./loss.js";

/** {@link crossEntropy} over the rows that have a label; 0 if none has. */
export function labelledCrossEntropy(logits: Tensor, labels: Labels, labelSmoothing: number): Tensor {
  const rows = labelledRows(labels);
  if (rows === null) return crossEntropy(logits, labels, { labelSmoothing });
  if (rows.length === 0) return logits.mul(0).sum();
  const data = labelData(labels);
  const own = new IntTensor(rows.map((row) => data[row]));
  return crossEntropy(indexSelect(logits, 0, rows), own, { labelSmoothing });
}

/**
 * {@link crossEntropy} of the student with the labels as a loss of `distill` and `trainTeacher`: `cross-entropy` in
 * expressions.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for options that are unknown or out of range.
 * @example
 * ```ts
 * await trainTeacher({ model, data, loss: crossEntropyDistillationLoss({ labelSmoothing: 0.1 }) });
 * ```
 */
export function crossEntropyDistillationLoss(
  options: Pick<CrossEntropyOptions, "labelSmoothing"> = {},
): DistillationLoss {
  const { labelSmoothing } = optionsOf("crossEntropyDistillationLoss", CROSS_ENTROPY_DEFAULTS, options);
  expectLabelSmoothing(labelSmoothing);
  const name = "cross-entropy";
  return {
    name,
    needsTeacher: false,
    tasks: ["classification"],
    compute: (batch) => ({
      loss: labelledCrossEntropy(batch.student.logits, someLabelsFor(name, batch), labelSmoothing),
      metrics: {},
    }),
    config: () => ({ name, labelSmoothing }),
  };
}

/** `cross-entropy` in expressions. */
export const crossEntropyEntry = defineEntry({
  name: "cross-entropy",
  help: "cross-entropy of the student with the labels",
  tasks: ["classification"],
  options: {
    labelSmoothing: described(
      v.optional(fraction()),
      "fraction of a label's probability that is spread over all classes (default: the run's label smoothing)",
    ),
  },
  create: ({ labelSmoothing }, context: LossContext): DistillationLoss =>
    crossEntropyDistillationLoss({ labelSmoothing: labelSmoothing ?? context.labelSmoothing }),
});
