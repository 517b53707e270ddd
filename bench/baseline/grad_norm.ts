/** Scales all gradients so that their common Euclidean norm is at most `maxNorm`; gives the norm from before. */
export function clipGradNorm(grads: readonly Float32Array[], maxNorm: number): number {
  const norm = gradNorm(grads);
  const coefficient = maxNorm / (norm + 1e-6);
  if (coefficient < 1) scaleGrads(grads, coefficient);
  return norm;
}

/** The Euclidean norm of all gradients seen as one vector. */
export function gradNorm(grads: readonly Float32Array[]): number {
  let total = 0;
  for (const grad of grads) total += sumOfSquares(grad);
  return Math.sqrt(total);
}

/** Four sums side by side: one alone would wait for each addition. */
function sumOfSquares(x: Float32Array): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  const whole = x.length - (x.length % 4);
  for (let i = 0; i < whole; i += 4) {
    s0 += x[i] * x[i];
    s1 += x[i + 1] * x[i + 1];
    s2 += x[i + 2] * x[i + 2];
    s3 += x[i + 3] * x[i + 3];
  }
  for (let i = whole; i < x.length; i++) s0 += x[i] * x[i];
  return s0 + s1 + (s2 + s3);
}

/** Multiplies all gradients by a coefficient. */
export function scaleGrads(grads: readonly Float32Array[], coefficient: number): void {
  for (const grad of grads) for (let i = 0; i < grad.length; i++) grad[i] *= coefficient;
}
