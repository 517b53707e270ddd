/** The losses in double precision, as their definitions read: rows of `classes` logits, averaged over the rows. */

/** log(softmax(row)). */
export function logSoftmax(row: readonly number[]): number[] {
  const top = Math.max(...row);
  const norm = top + Math.log(row.reduce((sum, x) => sum + Math.exp(x - top), 0));
  return row.map((x) => x - norm);
}

/** -log softmax(logits) weighed by the label: 1 - smoothing on its class, and smoothing / classes on each. */
export function crossEntropy(
  logits: ArrayLike<number>,
  labels: ArrayLike<number>,
  classes: number,
  smoothing = 0,
): number {
  const weight = (j: number, label: number | undefined) => (1 - smoothing) * Number(j === label) + smoothing / classes;
  const losses = rowsOf(logits, classes).map((row, i) =>
    logSoftmax(row).reduce((sum, logP, j) => sum - weight(j, labels[i]) * logP, 0),
  );
  return mean(losses);
}

/** T² times KL(softmax(teacher / T) ‖ softmax(student / T)). */
export function soft(student: ArrayLike<number>, teacher: ArrayLike<number>, classes: number, t: number): number {
  const divided = (logits: ArrayLike<number>) =>
    rowsOf(logits, classes).map((row) => logSoftmax(row.map((x) => x / t)));
  const [logQ, logP] = [divided(student), divided(teacher)];
  const divergence = (p: number[], q: number[]) => p.reduce((sum, x, j) => sum + Math.exp(x) * (x - q[j]), 0);
  return t ** 2 * mean(logP.map((p, i) => divergence(p, logQ[i])));
}

/** alpha soft + (1 - alpha) crossEntropy. */
export function kdLoss(
  student: ArrayLike<number>,
  teacher: ArrayLike<number>,
  labels: ArrayLike<number>,
  options: { classes: number; temperature: number; alpha: number; labelSmoothing?: number },
): number {
  const { classes, temperature, alpha, labelSmoothing } = options;
  const hard = crossEntropy(student, labels, classes, labelSmoothing);
  return alpha * soft(student, teacher, classes, temperature) + (1 - alpha) * hard;
}

function rowsOf(logits: ArrayLike<number>, classes: number): number[][] {
  const flat = Array.from(logits);
  return Array.from({ length: flat.length / classes }, (_, i) => flat.slice(i * classes, (i + 1) * classes));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, x) => sum + x, 0) / values.length;
}
