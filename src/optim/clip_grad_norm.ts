import { badArgument, expectAtLeast0, expectOptions } from "../checks.js";
import { native } from "../native.js";
import type { Tensor } from "../tensor/tensor.js";
import { expectParameters, gradsOf } from "./optimizer.js";

/**
 * Scales all gradients so that their common norm, of `normType` 2 (Euclidean, the default), 1 or Infinity, is at most
 * `maxNorm`, by maxNorm / (norm + 1e-6), and gives the norm from before; with an infinite `maxNorm` and a finite norm,
 * only that. `torch.nn.utils.clip_grad_norm_`.
 *
 * @example
 * ```ts
 * const norm = clipGradNorm(student.parameters(), 1.0);
 * ```
 */
export function clipGradNorm(
  parameters: readonly Tensor[],
  maxNorm: number,
  options?: { normType?: 1 | 2 | typeof Infinity },
): number {
  const normType = normTypeOf(options);
  if (maxNorm !== Infinity) expectAtLeast0("maxNorm", maxNorm);
  for (const parameter of expectParameters(parameters)) parameter.gradient.scaled();
  const grads = gradsOf(parameters);
  const norm = normType === 2 ? native.gradNorm(grads) : otherNorm(grads, normType);
  const coefficient = maxNorm / (norm + 1e-6);
  if (!(coefficient >= 1)) for (const parameter of parameters) parameter.gradient.multiply(coefficient);
  return norm;
}

function normTypeOf(options: { normType?: number } | undefined): number {
  if (options === undefined) return 2;
  expectOptions("clipGradNorm", options, ["normType"]);
  const { normType = 2 } = options;
  if (normType === 1 || normType === 2 || normType === Infinity) return normType;
  throw badArgument("normType", "1, 2 or Infinity", normType);
}

/** The sum or the highest of the magnitudes; NaN if one is. */
function otherNorm(grads: readonly Float32Array[], normType: number): number {
  let norm = 0;
  for (const grad of grads) {
    for (const x of grad) norm = normType === 1 ? norm + Math.abs(x) : Math.max(norm, Math.abs(x));
  }
  return norm;
}

/**
 * Limits every element of the gradients to the range from -`clipValue` to `clipValue`.
 * `torch.nn.utils.clip_grad_value_`.
 *
 * @example
 * ```ts
 * clipGradValue(student.parameters(), 0.5);
 * ```
 */
export function clipGradValue(parameters: readonly Tensor[], clipValue: number): void {
  expectAtLeast0("clipValue", clipValue);
  for (const parameter of expectParameters(parameters)) {
    const grad = parameter.gradient.scaled();
    // Not Math.min and Math.max, whose -0 and 0 differ: PyTorch keeps what is in the range as it is.
    grad?.forEach((x, i) => {
      if (x > clipValue) grad[i] = clipValue;
      else if (x < -clipValue) grad[i] = -clipValue;
    });
  }
}
