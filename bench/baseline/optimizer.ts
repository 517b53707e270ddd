/** The numbers of one step of AdamW. */
interface AdamWNumbers {
  readonly lr: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
}

/** AdamW over parameters whose arrays it moves; the averages are its own. */
export class PlainAdamW {
  readonly #parameters: readonly Float32Array[];
  readonly #firsts: readonly Float32Array[];
  readonly #seconds: readonly Float32Array[];
  #step = 0;

  constructor(parameters: readonly Float32Array[]) {
    this.#parameters = parameters;
    this.#firsts = parameters.map(({ length }) => new Float32Array(length));
    this.#seconds = parameters.map(({ length }) => new Float32Array(length));
  }

  /** Moves every parameter by its gradient, `grads` in the order of the parameters. */
  step(grads: readonly Float32Array[], numbers: AdamWNumbers): void {
    this.#step += 1;
    for (let i = 0; i < grads.length; i++) {
      moveOne(this.#parameters[i], grads[i], this.#firsts[i], this.#seconds[i], numbers, this.#step);
    }
  }
}

function moveOne(
  parameter: Float32Array,
  grad: Float32Array,
  first: Float32Array,
  second: Float32Array,
  { lr, beta1, beta2, eps, weightDecay }: AdamWNumbers,
  step: number,
): void {
  const decay = 1 - lr * weightDecay;
  const size = lr / (1 - beta1 ** step);
  const root = 1 / Math.sqrt(1 - beta2 ** step);
  for (let i = 0; i < parameter.length; i++) {
    const g = grad[i];
    const m = first[i] + (1 - beta1) * (g - first[i]);
    const v = second[i] * beta2 + (1 - beta2) * g * g;
    first[i] = m;
    second[i] = v;
    parameter[i] = parameter[i] * decay - (size * m) / (Math.sqrt(v) * root + eps);
  }
}

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
