import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import type { JsFunction } from "../tensor/js_form.js";
import { aroundAxis, axisOrAll } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";
import { defineMethods } from "./methods.js";
import { reshape } from "./reshape.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** The sums along an axis so far. `torch.cumsum`. */
    cumsum(dim: number): Tensor;
  }
}

const CUMSUM: JsFunction = {
  name: "cumsum",
  source: `
/** The sums so far along an axis of x [..., length, inner]. */
function cumsum(x, length, inner) {
  const y = new Float32Array(x.length);
  for (let first = 0; first < x.length; first += length * inner) {
    for (let i = first; i < first + inner; i++) {
      let sum = 0;
      for (let at = i; at < first + length * inner; at += inner) y[at] = sum += x[at];
    }
  }
  return y;
}`,
};

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
  js({ inputs: [x], attributes: { axis }, shape }, { call }) {
    const { length, inner } = aroundAxis(shape, axis);
    return call(CUMSUM, x, length, inner);
  },
});

/** The sums along an axis so far, taken in double precision. `torch.cumsum`. */
export function cumsum(x: Tensor, dim: number): Tensor {
  expectTensor("cumsum: x", x);
  const axis = axisOrAll(x.shape, dim);
  return axis === null ? reshape(cumsumOp([reshape(x, [1])], { axis: 0 }), []) : cumsumOp([x], { axis });
}

defineMethods({ cumsum });
