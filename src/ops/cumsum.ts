import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import { aroundAxis, axisOf } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";
import { defineMethods } from "./methods.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** The sums along an axis so far. `torch.cumsum`. */
    cumsum(dim: number): Tensor;
  }
}

const cumsumOp = defineOp<{ axis: number }, null>({
  name: "cumsum",
  forward([x], { axis }) {
    const { outer, length, inner } = aroundAxis(x.shape, axis);
    const data = allocate(x.size);
    native.cumsum(x.data, data, outer, length, inner, false);
    return { data, shape: x.shape, saved: null };
  },
  backward(grad, [into], { inputs: [x], attributes: { axis } }) {
    const { outer, length, inner } = aroundAxis(x.shape, axis);
    if (into) native.cumsum(grad, into, outer, length, inner, true);
  },
  lower: ({ axis }) => ({ kind: "cumsum", axes: [axis] }),
});

/** The sums along an axis so far, taken in double precision. `torch.cumsum`. */
export function cumsum(x: Tensor, dim: number): Tensor {
  expectTensor("cumsum: x", x);
  return cumsumOp([x], { axis: axisOf(x.shape, dim) });
}

defineMethods({ cumsum });
