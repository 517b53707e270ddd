import { logSumExp } from "./softmax.js";

/**
 * The cross-entropy of logits [rows, classes] with labels, averaged over the rows; writes the gradient by the logits
 * into `grad`.
 */
export function crossEntropy(logits: Float32Array, labels: Int32Array, grad: Float32Array): number {
  const rows = labels.length;
  const classes = logits.length / rows;
  let entropy = 0;
  for (let i = 0, at = 0; i < rows; i++, at += classes) {
    const total = logSumExp(logits, at, classes, 1);
    for (let j = 0; j < classes; j++) grad[at + j] = Math.exp(logits[at + j] - total) / rows;
    grad[at + labels[i]] -= 1 / rows;
    entropy += total - logits[at + labels[i]];
  }
  return entropy / rows;
}
