import { numel, sliceRange } from "../tensor/shape.js";
import type { Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";
import { defineMethods } from "./methods.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** Rows `start` to `end` (not included) of the first axis; shares memory. */
    slice(start: number, end?: number): Tensor;
  }
}

const sliceOp = defineOp<{ start: number; end: number }, null>({
  name: "slice",
  forward([x], { start, end }) {
    const [, ...rest] = x.shape;
    const width = numel(rest);
    return { data: x.data.subarray(start * width, end * width), shape: [end - start, ...rest], saved: null };
  },
  backward(grad, [into], { inputs: [x], attributes: { start } }) {
    into?.fill(0).set(grad, start * numel(x.shape.slice(1)));
  },
  onnx(_, builder) {
    throw builder.refusal("slice() takes rows out of the batch");
  },
});

/** Rows `start` to `end` (not included) of the first axis, as `x[start:end]` in PyTorch; shares memory. */
export function slice(x: Tensor, start: number, end: number = x.shape[0] ?? 0): Tensor {
  const { from, to } = sliceRange(x.shape, start, end);
  return sliceOp([x], { start: from, end: to });
}

defineMethods({ slice });
