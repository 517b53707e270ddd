import { expectInteger, expectOptions } from "../checks.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import { axisOf, numel, sliceRange, stridesOf } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { stridedJs } from "./broadcast.js";
import { defineOp } from "./define_op.js";
import { defineMethods } from "./methods.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** Elements `start` to `end` (not included) of an axis, the first one by default, each `step`-th. */
    slice(start: number, end?: number, options?: SliceOptions): Tensor;
  }
}

/** What a slice takes of which axis. */
export interface SliceOptions {
  /** The axis; 0 by default. */
  readonly dim?: number;
  /** Every `step`-th element is taken; 1 by default. */
  readonly step?: number;
}

interface Attributes {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

const OF_BATCH = "slice() takes rows out of the batch";

const sliceOp = defineOp<Attributes, null>({
  name: "slice",
  view: true,
  forward([x], attributes) {
    const { axis, start, end, step } = attributes;
    const shape = x.shape.map((length, i) => (i === axis ? Math.ceil((end - start) / step) : length));
    if (axis === 0 && step === 1) {
      const width = numel(x.shape.slice(1));
      return { data: x.data.subarray(start * width, end * width), shape, saved: null };
    }
    const data = allocate(numel(shape));
    const view = viewOf(x.shape, attributes);
    native.stridedCopy(x.data, shape, view.strides, view.offset, data);
    return { data, shape, saved: null };
  },
  backward(grad, [into], { inputs: [x], attributes }) {
    if (!into) return;
    const { axis, start, end, step } = attributes;
    const shape = x.shape.map((length, i) => (i === axis ? Math.ceil((end - start) / step) : length));
    const view = viewOf(x.shape, attributes);
    native.stridedScatter(grad, shape, view.strides, view.offset, into.fill(0));
  },
  onnx({ inputs, attributes: { axis, start, end, step } }, builder) {
    if (axis === 0) throw builder.refusal(OF_BATCH);
    const [starts, ends, axes, steps] = [
      builder.integers("starts", [start]),
      builder.integers("ends", [end]),
      builder.integers("axes", [axis]),
      builder.integers("steps", [step]),
    ];
    return { type: "Slice", inputs: [...inputs, starts, ends, axes, steps] };
  },
  js({ inputs: [x], shapes: [from], isBatch: [isBatch], attributes, shape }, builder) {
    if (isBatch && attributes.axis === 0) throw builder.refusal(OF_BATCH);
    const { strides, offset } = viewOf(from, attributes);
    return stridedJs(x, shape, strides, offset, builder);
  },
  // A slice is cut to what there is: the length of one of the batch follows the batch in another way.
  lower: ({ axis, start, step }, [shape]) =>
    typeof shape[axis] === "number" ? { kind: "slice", axes: [axis], start, step } : null,
});

function viewOf(shape: readonly number[], { axis, start, step }: Attributes) {
  const strides = stridesOf(shape);
  const offset = start * strides[axis];
  strides[axis] *= step;
  return { strides, offset };
}

/**
 * Elements `start` to `end` (not included) of an axis, as `x[start:end:step]` in PyTorch; rows with step 1 share
 * memory.
 *
 * @example
 * ```ts
 * tensor([[1, 2, 3], [4, 5, 6]]).slice(0, 3, { dim: 1, step: 2 }).toArray(); // [[1, 3], [4, 6]]
 * ```
 */
export function slice(x: Tensor, start: number, end?: number, options: SliceOptions = {}): Tensor {
  expectTensor("slice: x", x);
  expectOptions("slice", options, ["dim", "step"]);
  const axis =
    options.dim === undefined && x.shape.length === 0
      ? 0
      : axisOf(x.shape, options.dim === undefined ? 0 : options.dim);
  const step = expectInteger("slice: step", options.step === undefined ? 1 : options.step, 1);
  const range = sliceRange(x.shape.slice(axis), start, end ?? x.shape[axis]);
  return sliceOp([x], { axis, start: range.from, end: range.to, step });
}

defineMethods({ slice });
