import { expectNumber } from "../checks.js";
import { native } from "../native.js";
import type { Tensor } from "../tensor/tensor.js";
import { expectParameters } from "./adamw.js";

/**
 * Scales all gradients so that their common Euclidean norm is at most `maxNorm`, by maxNorm / (norm + 1e-6), and gives
 * the norm from before; with an infinite `maxNorm`, only that. `torch.nn.utils.clip_grad_norm_`.
 *
 * @example
 * ```ts
 * const norm = clipGradNorm(student.parameters(), 1.0);
 * ```
 */
export function clipGradNorm(parameters: readonly Tensor[], maxNorm: number): number {
  if (maxNorm !== Infinity) expectNumber("maxNorm", maxNorm, (x) => x >= 0, "a number of at least 0");
  const norm = native.gradNorm(expectParameters(parameters).flatMap((parameter) => parameter.materializedGrad() ?? []));
  const coefficient = maxNorm / (norm + 1e-6);
  if (!(coefficient >= 1)) for (const parameter of parameters) parameter.scaleGrad(coefficient);
  return norm;
}
