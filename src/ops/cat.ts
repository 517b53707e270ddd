import { argumentError, badArgument, expectElements, expectInteger, expectList, expectShape } from "../checks.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import type { JsFunction } from "../tensor/js_form.js";
import { int } from "../tensor/onnx_node.js";
import { axisOf, numel, stridesOf } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";
import { defineMethods } from "./methods.js";
import { slice } from "./slice.js";
import { unsqueeze } from "./squeeze.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** Parts of `size` along an axis, the last one shorter if need be, or of the given sizes. `torch.split`. */
    split(size: number | readonly number[], dim?: number): Tensor[];
  }
}

const CAT: JsFunction = {
  name: "cat",
  source: `
/** Parts joined along an axis, before which there are so many elements. */
function cat(parts, outer) {
  const y = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (let i = 0; i < outer; i++) {
    for (const part of parts) {
      const width = part.length / outer;
      y.set(part.subarray(i * width, (i + 1) * width), at);
      at += width;
    }
  }
  return y;
}`,
};

const catOp = defineOp<{ axis: number }, null>({
  name: "cat",
  forward(inputs, { axis }) {
    const shape = [...inputs[0].shape];
    shape[axis] = inputs.reduce((sum, x) => sum + x.shape[axis], 0);
    expectElements("cat", shape);
    const data = allocate(numel(shape));
    const strides = stridesOf(shape);
    let at = 0;
    for (const x of inputs) {
      native.stridedScatter(x.data, [...x.shape], strides, x.size === 0 ? 0 : at * strides[axis], data);
      at += x.shape[axis];
    }
    return { data, shape, saved: null };
  },
  backward(grad, into, { inputs, attributes: { axis } }) {
    const shape = [...inputs[0].shape];
    shape[axis] = inputs.reduce((sum, x) => sum + x.shape[axis], 0);
    const strides = stridesOf(shape);
    let at = 0;
    for (const [i, x] of inputs.entries()) {
      const target = into[i];
      if (target) native.stridedCopy(grad, [...x.shape], strides, x.size === 0 ? 0 : at * strides[axis], target);
      at += x.shape[axis];
    }
  },
  onnx: ({ inputs, attributes: { axis } }) => ({ type: "Concat", inputs, attributes: [int("axis", axis)] }),
  lower: ({ axis }) => ({ kind: "cat", axes: [axis] }),
  js: ({ inputs, attributes: { axis }, shape }, { call }) =>
    call(CAT, `[${inputs.join(", ")}]`, numel(shape.slice(0, axis))),
});

/**
 * Tensors joined along an axis; the other lengths are equal. One of shape [0] is left out beside others. `torch.cat`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH` if another length differs, `BAD_ARGUMENT` for no tensor, or an
 * axis that they lack.
 * @example
 * ```ts
 * cat([tensor([[1, 2]]), tensor([[3, 4]])]).toArray(); // [[1, 2], [3, 4]]
 * ```
 */
export function cat(tensors: readonly Tensor[], dim = 0): Tensor {
  const [some] = expectTensors("cat", tensors);
  const first = tensors.find((x) => !isNothing(x)) ?? some;
  const axis = axisOf(first.shape, dim);
  for (const [i, x] of tensors.entries()) {
    if (!isNothing(x)) expectShape(`cat: tensors[${i}]`, x.shape, first.shape.with(axis, -1));
  }
  const parts = isNothing(first) ? [first] : tensors.filter((x) => !isNothing(x));
  return catOp(parts, { axis });
}

/** What PyTorch's users begin a list with, whatever the shape of what follows. */
function isNothing({ shape }: Tensor): boolean {
  return shape.length === 1 && shape[0] === 0;
}

/**
 * Tensors of one shape side by side along a new axis. `torch.stack`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH` for tensors of other shapes, `BAD_ARGUMENT` for none.
 * @example
 * ```ts
 * stack([tensor([1, 2]), tensor([3, 4])], 1).toArray(); // [[1, 3], [2, 4]]
 * ```
 */
export function stack(tensors: readonly Tensor[], dim = 0): Tensor {
  const [{ shape }] = expectTensors("stack", tensors);
  for (const [i, x] of tensors.entries()) expectShape(`stack: tensors[${i}]`, x.shape, shape);
  return cat(
    tensors.map((x) => unsqueeze(x, dim)),
    dim,
  );
}

/**
 * Parts of `size` along an axis, the last one shorter if need be, or of the given sizes. `torch.split`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `BAD_ARGUMENT` for sizes that do not add up to the length of the axis.
 * @example
 * ```ts
 * split(tensor([1, 2, 3, 4, 5]), 2).map((part) => part.toArray()); // [[1, 2], [3, 4], [5]]
 * ```
 */
export function split(x: Tensor, size: number | readonly number[], dim = 0): Tensor[] {
  expectTensor("split: x", x);
  const length = x.shape[axisOf(x.shape, dim)];
  const sizes = typeof size === "number" ? equalParts(length, expectInteger("split: size", size, 1)) : size;
  const total = expectList("split: size", sizes).reduce((sum, n) => sum + expectInteger("split: size", n, 0), 0);
  if (total !== length) {
    throw argumentError("split", `size: expected sizes that add up to ${length}, got ${total}`);
  }
  let at = 0;
  return sizes.map((n) => {
    at += n;
    return slice(x, at - n, at, { dim });
  });
}

function equalParts(length: number, size: number): number[] {
  const count = Math.max(1, Math.ceil(length / size));
  return Array.from({ length: count }, (_, i) => Math.min(size, length - i * size));
}

function expectTensors(op: string, tensors: readonly Tensor[]): readonly Tensor[] {
  if (!Array.isArray(tensors) || tensors.length === 0) {
    throw badArgument(`${op}: tensors`, "a list of tensors", tensors);
  }
  for (const [i, x] of tensors.entries()) expectTensor(`${op}: tensors[${i}]`, x);
  return tensors;
}

defineMethods({ split });
