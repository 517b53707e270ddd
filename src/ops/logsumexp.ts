import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { add, sub } from "./binary.js";
import { detach } from "./detach.js";
import { max } from "./max.js";
import { defineMethods } from "./methods.js";
import { reshape } from "./reshape.js";
import { axesOf, expectKeepdim, sum } from "./sum.js";
import { clamp, exp, log } from "./unary.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** log(sum(exp(x))) along one or several axes, without overflow. `torch.logsumexp`. */
    logsumexp(dim: number | readonly number[], keepdim?: boolean): Tensor;
  }
}

/** The largest finite number in single precision. */
const LARGEST = (2 - 2 ** -23) * 2 ** 127;

/**
 * log(sum(exp(x))) along one or several axes, shifted by the maximum, so that nothing overflows. `torch.logsumexp`.
 *
 * @throws DistilleryError `BAD_DTYPE` for what is no tensor, `BAD_ARGUMENT` for an axis that x lacks.
 * @example
 * ```ts
 * logsumexp(tensor([[1000, 1000]]), 1).toArray(); // [1000.6931...]
 * ```
 */
export function logsumexp(x: Tensor, dim: number | readonly number[], keepdim = false): Tensor {
  expectTensor("logsumexp: x", x);
  expectKeepdim("logsumexp", keepdim);
  const axes = axesOf(x.shape, dim) ?? [...x.shape.keys()];
  if (axes.some((axis) => x.shape[axis] === 0)) return log(sum(exp(x), axes, keepdim));
  const largest = axes.reduce((rest, axis) => max(rest, axis, true).values, x);
  // An infinite maximum would give inf - inf.
  const shift = clamp(detach(largest), -LARGEST, LARGEST);
  const sums = log(sum(exp(sub(x, shift)), axes, keepdim));
  return add(sums, keepdim ? shift : reshape(shift, sums.shape));
}

defineMethods({ logsumexp });
