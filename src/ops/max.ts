import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import { IntTensor } from "../tensor/int_tensor.js";
import type { JsFunction } from "../tensor/js_form.js";
import { int, ints } from "../tensor/onnx_node.js";
import { aroundAxis, axisOrAll, numel, reducedShape } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";
import { defineMethods } from "./methods.js";
import { expectKeepdim } from "./sum.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** The largest of all elements, or along an axis with their indices. `torch.max`. */
    max(): Tensor;
    max(dim: number, keepdim?: boolean): ValuesAndIndices;
    /** The smallest of all elements, or along an axis with their indices. `torch.min`. */
    min(): Tensor;
    min(dim: number, keepdim?: boolean): ValuesAndIndices;
    /** Where the largest of all elements lies in their flat order, or of those along an axis. `torch.argmax`. */
    argmax(dim?: number, keepdim?: boolean): IntTensor;
    /** Where the smallest of all elements lies in their flat order, or of those along an axis. `torch.argmin`. */
    argmin(dim?: number, keepdim?: boolean): IntTensor;
  }
}

/** Values along an axis, and where they lie in it. */
export interface ValuesAndIndices {
  readonly values: Tensor;
  readonly indices: IntTensor;
}

interface Attributes {
  /** null for all. */
  readonly axis: number | null;
  readonly keepdim: boolean;
  /** Whether all that are equal to the largest share its gradient; otherwise it is the first one's. */
  readonly isShared: boolean;
}

const REDUCE: JsFunction = {
  name: "reduce",
  source: `
/** f of all elements along an axis of x [..., length, inner]. */
function reduce(x, length, inner, f, start) {
  const y = new Float32Array(x.length / length);
  for (let i = 0; i < y.length; i++) {
    const first = Math.floor(i / inner) * length * inner + (i % inner);
    let value = start;
    for (let at = 0; at < length; at++) value = f(value, x[first + at * inner]);
    y[i] = value;
  }
  return y;
}`,
};

const maxOp = define("max", true);
const minOp = define("min", false);

function define(name: "max" | "min", largest: boolean) {
  return defineOp<Attributes, Int32Array>({
    name,
    forward([x], { axis, keepdim }) {
      const { outer, inner } = aroundAxis(x.shape, axis);
      const indices = indicesOf(name, x, axis, largest);
      const data = allocate(outer * inner);
      native.gather(x.data, cube(x, axis), 1, indices, [outer, 1, inner], data);
      return { data, shape: reducedShape(x.shape, axis, keepdim), saved: indices };
    },
    backward(grad, [into], { inputs: [x], attributes: { axis, isShared }, output, saved: indices }) {
      if (!into) return;
      const { outer, inner } = aroundAxis(x.shape, axis);
      if (isShared) return shareEvenly(x, axis, output, grad, into);
      native.scatter(grad, into.fill(0), cube(x, axis), 1, indices, [outer, 1, inner], false);
    },
    onnx({ inputs, attributes: { axis, keepdim } }, builder) {
      const type = largest ? "ReduceMax" : "ReduceMin";
      const keep = int("keepdims", keepdim ? 1 : 0);
      if (axis === null) return { type, inputs, attributes: [keep] };
      if (builder.opset < 18) return { type, inputs, attributes: [keep, ints("axes", [axis])] };
      return { type, inputs: [...inputs, builder.integers("axes", [axis])], attributes: [keep] };
    },
    lower: ({ axis }) => ({ kind: name, ...(axis !== null && { axes: [axis] }) }),
    js({ inputs: [x], shapes: [from], attributes: { axis } }, { call }) {
      const { length, inner } = aroundAxis(from, axis);
      return call(REDUCE, x, length, inner, `Math.${name}`, largest ? "-Infinity" : "Infinity");
    },
  });
}

/** Shares each gradient among those that are equal to the value. */
function shareEvenly(
  { data, shape }: Tensor,
  axis: number | null,
  values: Float32Array,
  grad: Float32Array,
  into: Float32Array,
): void {
  const { length, inner } = aroundAxis(shape, axis);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    const first = Math.floor(i / inner) * length * inner + (i % inner);
    const isIt = (at: number) => data[at] === value || (Number.isNaN(data[at]) && Number.isNaN(value));
    const end = first + length * inner;
    let count = 0;
    for (let at = first; at < end; at += inner) if (isIt(at)) count++;
    for (let at = first; at < end; at += inner) into[at] = isIt(at) ? grad[i] / count : 0;
  }
}

function cube(x: Tensor, axis: number | null): number[] {
  const { outer, length, inner } = aroundAxis(x.shape, axis);
  return [outer, length, inner];
}

/** Where the largest or smallest lies along an axis. */
function indicesOf(name: string, x: Tensor, axis: number | null, largest: boolean): Int32Array {
  const { outer, length, inner } = aroundAxis(x.shape, axis);
  if (length === 0 && outer * inner > 0) {
    const shape = `[${x.shape.join(", ")}]`;
    throw new DistilleryError("SHAPE_MISMATCH", `${name}: x: expected elements, got shape ${shape}`);
  }
  const indices = new Int32Array(outer * inner);
  native.argmax(x.data, indices, outer, length, inner, largest);
  return indices;
}

/** The largest of all elements, or along an axis with their indices; NaN counts as the largest. `torch.max`. */
export function max(x: Tensor): Tensor;
export function max(x: Tensor, dim: number, keepdim?: boolean): ValuesAndIndices;
export function max(x: Tensor, dim?: number, keepdim = false): Tensor | ValuesAndIndices {
  return extremum(maxOp, x, dim, keepdim);
}

/** The smallest of all elements, or along an axis with their indices; NaN counts as the smallest. `torch.min`. */
export function min(x: Tensor): Tensor;
export function min(x: Tensor, dim: number, keepdim?: boolean): ValuesAndIndices;
export function min(x: Tensor, dim?: number, keepdim = false): Tensor | ValuesAndIndices {
  return extremum(minOp, x, dim, keepdim);
}

/** The largest along an axis; all that are equal to it share its gradient. `torch.amax`. */
export function amax(x: Tensor, axis: number, keepdim: boolean): Tensor {
  return maxOp([x], { axis, keepdim, isShared: true });
}

function extremum(op: typeof maxOp, x: Tensor, dim: number | undefined, keepdim: boolean): Tensor | ValuesAndIndices {
  expectTensor(`${op.op.name}: x`, x);
  expectKeepdim(op.op.name, keepdim);
  if (dim === undefined) return op([x], { axis: null, keepdim: false, isShared: true });
  const axis = axisOrAll(x.shape, dim);
  const [values, indices] = op.withSaved([x], { axis, keepdim, isShared: axis === null });
  return { values, indices: new IntTensor(indices, values.shape) };
}

/**
 * Where the largest of all elements lies in their flat order, or of those along an axis: the first of equals; NaN
 * counts as the largest. `torch.argmax`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `BAD_ARGUMENT` for an axis that x lacks, `SHAPE_MISMATCH` for x without
 * elements.
 * @example
 * ```ts
 * argmax(tensor([[0.1, 0.9], [0.8, 0.2]]), 1).data; // Int32Array [1, 0]
 * ```
 */
export function argmax(x: Tensor, dim?: number, keepdim = false): IntTensor {
  return argExtremum("argmax", x, dim, keepdim, true);
}

/**
 * Where the smallest of all elements lies, or of those along an axis; otherwise as {@link argmax}. `torch.argmin`.
 *
 * @throws DistilleryError as {@link argmax}.
 * @example
 * ```ts
 * argmin(tensor([[0.1, 0.9], [0.8, 0.2]]), 1).data; // Int32Array [0, 1]
 * ```
 */
export function argmin(x: Tensor, dim?: number, keepdim = false): IntTensor {
  return argExtremum("argmin", x, dim, keepdim, false);
}

function argExtremum(name: string, x: Tensor, dim: number | undefined, keepdim: boolean, largest: boolean): IntTensor {
  expectTensor(`${name}: x`, x);
  expectKeepdim(name, keepdim);
  const axis = dim === undefined ? null : axisOrAll(x.shape, dim);
  const shape = reducedShape(x.shape, axis, keepdim);
  return new IntTensor(numel(shape) === 0 ? new Int32Array(0) : indicesOf(name, x, axis, largest), shape);
}

defineMethods({ max, min, argmax, argmin });
