import { expectNumber, expectShape, withDefaults } from "../checks.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import { type Labels, labelData } from "../tensor/int_tensor.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { lossOutput } from "./loss_output.js";

/** The options of {@link crossEntropy}. */
export interface CrossEntropyOptions {
  /** e, from 0 to 1: a label's class is expected with 1 - e + e / classes, every other with e / classes. Default 0. */
  labelSmoothing?: number;
}

export const CROSS_ENTROPY_DEFAULTS = { labelSmoothing: 0 } as const;

/**
 * The cross-entropy of logits [rows, classes] with true labels [rows], averaged over the rows, as a scalar. With
 * `labelSmoothing` e (Szegedy et al., 2016) it is (1 - e) times that, and e times the mean of -log p over the classes.
 * `torch.nn.functional.cross_entropy`.
 *
 * Throws `SHAPE_MISMATCH`, `LABEL_OUT_OF_RANGE`, `BAD_ARGUMENT`, and `NON_FINITE` where the loss is NaN or infinite.
 *
 * @example
 * ```ts
 * const loss = crossEntropy(teacher.forward(inputs), labels);
 * loss.backward();
 * const smoothed = crossEntropy(teacher.forward(inputs), labels, { labelSmoothing: 0.1 });
 * ```
 */
export function crossEntropy(logits: Tensor, labels: Labels, options: CrossEntropyOptions = {}): Tensor {
  expectTensor("logits", logits);
  expectShape("crossEntropy: logits", logits.shape, [-1, -1]);
  const { labelSmoothing } = withDefaults(CROSS_ENTROPY_DEFAULTS, options);
  expectLabelSmoothing(labelSmoothing);
  const [rows, classes] = logits.shape as [number, number];
  const grad = allocate(logits.size);
  const loss = native.crossEntropy({
    logits: logits.data,
    labels: labelData(labels),
    grad,
    rows,
    classes,
    labelSmoothing,
  });
  return lossOutput(loss, logits, grad);
}

/** Refuses what is no share of a label. */
export function expectLabelSmoothing(share: unknown): void {
  expectNumber("labelSmoothing", share, (x) => x >= 0 && x <= 1, "a number from 0 to 1");
}
