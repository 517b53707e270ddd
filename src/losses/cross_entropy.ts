import { expectShape } from "../checks.js";
import { native } from "../native.js";
import { type Labels, labelData } from "../tensor/int_tensor.js";
import { allocate } from "../tensor/memory.js";
import { expectTensor } from "../tensor/ops.js";
import type { Tensor } from "../tensor/tensor.js";
import { lossOutput } from "./loss_output.js";

/**
 * The cross-entropy of logits [rows, classes] with true labels [rows], averaged over the rows, as a scalar.
 * `torch.nn.functional.cross_entropy`.
 *
 * Throws `SHAPE_MISMATCH`, `LABEL_OUT_OF_RANGE`, and `NON_FINITE` where the loss is NaN or infinite.
 *
 * @example
 * ```ts
 * const loss = crossEntropy(teacher.forward(inputs), labels);
 * loss.backward();
 * ```
 */
export function crossEntropy(logits: Tensor, labels: Labels): Tensor {
  expectTensor("logits", logits);
  expectShape("crossEntropy: logits", logits.shape, [-1, -1]);
  const [rows, classes] = logits.shape as [number, number];
  const grad = allocate(logits.size);
  const loss = native.crossEntropy(logits.data, labelData(labels), grad, rows, classes);
  return lossOutput(loss, logits, grad);
}
