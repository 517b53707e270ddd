import { argumentError, expectList } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import { ints } from "../tensor/onnx_node.js";
import { axisOf, axisOrAll, stridesOf } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { stridedJs } from "./broadcast.js";
import { defineOp } from "./define_op.js";
import { defineMethods } from "./methods.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** The axes in another order. `torch.permute`. */
    permute(dims: readonly number[]): Tensor;
    /** Two axes exchanged. `torch.transpose`. */
    transpose(dim0: number, dim1: number): Tensor;
    /** A matrix transposed. `torch.t`. */
    t(): Tensor;
  }
}

const permuteOp = defineOp<{ dims: readonly number[] }, null>({
  name: "permute",
  forward([x], { dims }) {
    const data = allocate(x.size);
    const shape = permuteData(x.data, x.shape, dims, data);
    return { data, shape, saved: null };
  },
  backward(grad, [into], { inputs: [x], attributes: { dims } }) {
    if (!into) return;
    const inverse = dims.map((_, axis) => dims.indexOf(axis));
    permuteData(
      grad,
      dims.map((axis) => x.shape[axis]),
      inverse,
      into,
    );
  },
  onnx: ({ inputs, attributes: { dims } }) => ({ type: "Transpose", inputs, attributes: [ints("perm", dims)] }),
  lower: ({ dims }) => ({ kind: "permute", axes: dims }),
  js({ inputs: [x], shapes: [from], attributes: { dims }, shape }, builder) {
    const strides = stridesOf(from);
    const permuted = dims.map((axis) => strides[axis]);
    return stridedJs(x, shape, permuted, 0, builder);
  },
});

/** Copies an array of a shape with its axes in another order, and gives the shape of the copy. */
export function permuteData(
  from: Float32Array,
  shape: readonly number[],
  dims: readonly number[],
  to: Float32Array,
): number[] {
  const strides = stridesOf(shape);
  const permuted = dims.map((axis) => shape[axis]);
  native.stridedCopy(
    from,
    permuted,
    dims.map((axis) => strides[axis]),
    0,
    to,
  );
  return permuted;
}

/** The axes in another order: axis i of the result is axis dims[i] of x. A copy. `torch.permute`. */
export function permute(x: Tensor, dims: readonly number[]): Tensor {
  expectTensor("permute: x", x);
  const axes = expectList("permute: dims", dims).map((dim) => axisOf(x.shape, dim));
  if (axes.length !== x.shape.length || new Set(axes).size !== axes.length) {
    const text = `dims: expected each axis of [${x.shape.join(", ")}] once, got [${dims.join(", ")}]`;
    throw argumentError("permute", text);
  }
  return axes.every((axis, i) => axis === i) ? x : permuteOp([x], { dims: axes });
}

/** Two axes exchanged. `torch.transpose`. */
export function transpose(x: Tensor, dim0: number, dim1: number): Tensor {
  expectTensor("transpose: x", x);
  const [a, b] = [axisOrAll(x.shape, dim0), axisOrAll(x.shape, dim1)];
  if (a === null || b === null) return x;
  return permute(
    x,
    x.shape.map((_, axis) => (axis === a ? b : axis === b ? a : axis)),
  );
}

/** A matrix [m, n] as [n, m]; a tensor of fewer axes as it is. `torch.t`. */
export function t(x: Tensor): Tensor {
  expectTensor("t: x", x);
  const { shape } = x;
  if (shape.length > 2) {
    const text = `t: x: expected at most 2 axes, got shape [${shape.join(", ")}]: transpose exchanges any two`;
    throw new DistilleryError("SHAPE_MISMATCH", text);
  }
  return shape.length < 2 ? x : transpose(x, 0, 1);
}

defineMethods({ permute, transpose, t });
