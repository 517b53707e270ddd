/** log(sum(exp(factor x))) over `count` elements from `at` on, shifted by the largest so that nothing overflows. */
export function logSumExp(x: Float32Array, at: number, count: number, factor: number): number {
  let max = x[at];
  for (let j = 1; j < count; j++) if (x[at + j] > max) max = x[at + j];
  let sum = 0;
  for (let j = 0; j < count; j++) sum += Math.exp(factor * (x[at + j] - max));
  return factor * max + Math.log(sum);
}

/** out[rows, classes] = softmax of each row of x. */
export function softmax(x: Float32Array, out: Float32Array, rows: number, classes: number): void {
  for (let at = 0; at < rows * classes; at += classes) {
    const total = logSumExp(x, at, classes, 1);
    for (let j = 0; j < classes; j++) out[at + j] = Math.exp(x[at + j] - total);
  }
}
