import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import type { JsFunction } from "../tensor/js_form.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";
import { endByRelu } from "./image_fusion.js";
import { extendByRelu } from "./linear_fusion.js";
import { defineMethods } from "./methods.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** max(x, 0). `torch.relu`. */
    relu(): Tensor;
  }
}

/** max(x, 0) in exported modules. */
export const RELU: JsFunction = {
  name: "relu",
  source: `
/** max(x, 0); NaN stays NaN. */
function relu(x) {
  const y = new Float32Array(x.length);
  for (let i = 0; i < x.length; i++) y[i] = x[i] < 0 ? 0 : x[i];
  return y;
}`,
};

const reluOp = defineOp<null, null>({
  name: "relu",
  forward([x]) {
    const data = allocate(x.size);
    native.reluForward(x.data, data);
    return { data, shape: x.shape, saved: null };
  },
  backward(grad, [into], { output }) {
    if (into) native.reluBackward(grad, output, into);
  },
  onnx: "Relu",
  lower: () => ({ kind: "relu" }),
  js: ({ inputs: [x] }, { call }) => call(RELU, x),
});

/**
 * max(x, 0); NaN stays NaN. `torch.relu`.
 *
 * @throws DistilleryError `BAD_DTYPE` for what is no tensor.
 * @example
 * ```ts
 * F.relu(tensor([-1, 2])).toArray(); // [0, 2]
 * ```
 */
export function relu(x: Tensor): Tensor {
  expectTensor("relu: x", x);
  return extendByRelu(reluOp, x) ?? endByRelu(reluOp, x) ?? reluOp([x], null);
}

defineMethods({ relu });
