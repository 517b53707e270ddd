/** log(sum(exp(factor x))) over `count` elements from `at` on, shifted by the largest so that nothing overflows. */
function logSumExp(x: Float32Array, at: number, count: number, factor: number): number {
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

/** The numbers of the distillation loss. */
interface KdNumbers {
  readonly temperature: number;
  readonly alpha: number;
}

/**
 * alpha T² KL(softmax(teacher / T) ‖ softmax(student / T)) + (1 - alpha) crossEntropy(student, labels), averaged over
 * the rows; logits are [rows, classes]. Writes the gradient by the student's logits into `grad`.
 */
export function kdLoss(
  student: Float32Array,
  teacher: Float32Array,
  labels: Int32Array,
  grad: Float32Array,
  { temperature, alpha }: KdNumbers,
): number {
  const rows = labels.length;
  const classes = student.length / rows;
  const [cooling, soft, hard] = [1 / temperature, (alpha * temperature) / rows, (1 - alpha) / rows];
  let divergence = 0;
  let entropy = 0;
  for (let i = 0, at = 0; i < rows; i++, at += classes) {
    const totalSoft = logSumExp(student, at, classes, cooling);
    const totalTeacher = logSumExp(teacher, at, classes, cooling);
    const totalHard = logSumExp(student, at, classes, 1);
    for (let j = 0; j < classes; j++) {
      const logP = teacher[at + j] * cooling - totalTeacher;
      const logQ = student[at + j] * cooling - totalSoft;
      const p = Math.exp(logP);
      if (p > 0) divergence += p * (logP - logQ);
      grad[at + j] = soft * (Math.exp(logQ) - p) + hard * Math.exp(student[at + j] - totalHard);
    }
    grad[at + labels[i]] -= hard;
    entropy += totalHard - student[at + labels[i]];
  }
  return soft * temperature * divergence + hard * entropy;
}
