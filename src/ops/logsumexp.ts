import { axisOf } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { add, sub } from "./binary.js";
import { detach } from "./detach.js";
import { max } from "./max.js";
import { defineMethods } from "./methods.js";
import { reshape } from "./reshape.js";
import { sum } from "./sum.js";
import { clamp, exp, log } from "./unary.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** log(sum(exp(x))) along an axis, without overflow. `torch.logsumexp`. */
    logsumexp(dim: number, keepdim?: boolean): Tensor;
  }
}

/** log(sum(exp(x))) along an axis, shifted by its maximum, so that nothing overflows. `torch.logsumexp`. */
export function logsumexp(x: Tensor, dim: number, keepdim = false): Tensor {
  expectTensor("logsumexp: x", x);
  const axis = axisOf(x.shape, dim);
  if (x.shape[axis] === 0) return log(sum(exp(x), axis, keepdim));
  // An infinite maximum would give inf - inf.
  const shift = clamp(detach(max(x, axis, true).values), -3e38, 3e38);
  const sums = log(sum(exp(sub(x, shift)), axis, keepdim));
  return add(sums, keepdim ? shift : reshape(shift, sums.shape));
}

defineMethods({ logsumexp });
