import { argumentError, badArgument, expectList } from "../checks.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import { gatherStrided } from "../tensor/gather_strided.js";
import { IntTensor } from "../tensor/int_tensor.js";
import type { JsFunction } from "../tensor/js_form.js";
import { int, ints, type OnnxBuilder, type OnnxNode } from "../tensor/onnx_node.js";
import { axisOrAll, numel, stridesOf } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { stridedJs } from "./broadcast.js";
import { defineOp } from "./define_op.js";
import { defineMethods } from "./methods.js";
import { permuteData } from "./permute.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** The sum of all elements, or along one or several axes. `torch.sum`. */
    sum(dim?: number | readonly number[], keepdim?: boolean): Tensor;
    /** The mean of all elements, or along one or several axes. `torch.mean`. */
    mean(dim?: number | readonly number[], keepdim?: boolean): Tensor;
  }
}

declare module "../tensor/int_tensor.js" {
  interface IntTensor {
    /** The sum of all elements, or along one or several axes: of a mask, how many are 1. `torch.sum`. */
    sum(dim?: number | readonly number[], keepdim?: boolean): IntTensor;
  }
}

/** From here on ReduceMean takes its axes as an input, as ReduceSum does from 13 on. */
const MEAN_TAKES_AXES = 18;

interface Attributes {
  /** In ascending order; null for all. */
  readonly axes: readonly number[] | null;
  readonly keepdim: boolean;
}

const SUM: JsFunction = {
  name: "sum",
  source: `
/** The sums along an axis of x [..., length, inner], in double precision, divided by a number. */
function sum(x, length, inner, by = 1) {
  const y = new Float32Array(x.length / length);
  for (let i = 0; i < y.length; i++) {
    const first = Math.floor(i / inner) * length * inner + (i % inner);
    let total = 0;
    for (let at = 0; at < length; at++) total += x[first + at * inner];
    y[i] = total / by;
  }
  return y;
}`,
};

const sumOp = define("sum");
const meanOp = define("mean");

/**
 * The sum of all elements, or along one or several axes, taken in double precision. `torch.sum`.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a sum of whole numbers that 32 bits do not hold.
 */
export function sum(x: Tensor, dim?: number | readonly number[], keepdim?: boolean): Tensor;
export function sum(x: IntTensor, dim?: number | readonly number[], keepdim?: boolean): IntTensor;
export function sum(x: Tensor | IntTensor, dim?: number | readonly number[], keepdim = false): Tensor | IntTensor {
  if (!(x instanceof IntTensor)) expectTensor("sum: x", x);
  expectKeepdim("sum", keepdim);
  const axes = axesOf(x.shape, dim);
  return x instanceof IntTensor ? sumWhole(x, axes, keepdim) : sumOp([x], { axes, keepdim });
}

/** The mean of all elements, or along one or several axes; of nothing it is NaN. `torch.mean`. */
export function mean(x: Tensor, dim?: number | readonly number[], keepdim = false): Tensor {
  expectTensor("mean: x", x);
  expectKeepdim("mean", keepdim);
  return meanOp([x], { axes: axesOf(x.shape, dim), keepdim });
}

/** Refuses what does not say whether reduced axes stay, of length 1. */
export function expectKeepdim(op: string, keepdim: unknown): void {
  if (typeof keepdim !== "boolean") throw badArgument(`${op}: keepdim`, "true or false", keepdim);
}

/** The axes that `dim` names, in ascending order; null for all. */
export function axesOf(shape: readonly number[], dim?: number | readonly number[]): readonly number[] | null {
  if (dim === undefined || (Array.isArray(dim) && dim.length === 0)) return null;
  const dims = typeof dim === "number" ? [dim] : expectList("dim", dim);
  const axes = dims.map((one) => axisOrAll(shape, one));
  if (new Set(axes).size < axes.length) {
    throw argumentError("dim", `expected each axis at most once, got [${dims.join(", ")}]`);
  }
  return shape.length === 0 ? null : axes.filter((axis) => axis !== null).sort((a, b) => a - b);
}

function define(name: "sum" | "mean") {
  return defineOp<Attributes, null>({
    name,
    forward([x], { axes, keepdim }) {
      const shape = reducedShape(x.shape, axes, keepdim);
      const { data: from, outer, length, inner } = together(x, axes);
      const data = allocate(outer * inner);
      native.sumAxis(from, data, outer, length, inner, name === "mean" ? 1 / length : 1);
      return { data, shape, saved: null };
    },
    backward(grad, [into], { inputs: [x], attributes: { axes } }) {
      if (!into) return;
      const strides = stridesOf(reducedShape(x.shape, axes, true));
      const repeated = strides.map((stride, axis) => (axes === null || axes.includes(axis) ? 0 : stride));
      const scaled = name === "mean" ? scale(grad, grad.length / x.size) : grad;
      native.stridedCopy(scaled, [...x.shape], repeated, 0, into);
    },
    onnx({ inputs: [from], attributes: { axes, keepdim } }, builder) {
      return reduceNode(name === "sum" ? "ReduceSum" : "ReduceMean", from, axes, keepdim, builder);
    },
    lower: ({ axes }) => ({ kind: name, ...(axes !== null && { axes }) }),
    js({ inputs: [x], shapes: [from], attributes: { axes } }, builder) {
      const { permutation, length, inner } = layoutOf(from, axes);
      const strides = stridesOf(from);
      const [shape, steps] = [from, strides].map((all) => permutation?.map((axis) => all[axis]) ?? []);
      const lined = permutation === null ? x : stridedJs(x, shape, steps, 0, builder);
      return builder.call(SUM, lined, length, inner, ...(name === "mean" ? [length] : []));
    },
  });
}

/** The node that reduces some axes, or all (null): their list is an attribute at first, an input in later sets. */
export function reduceNode(
  type: "ReduceSum" | "ReduceMean",
  from: string,
  axes: readonly number[] | null,
  keepdim: boolean,
  builder: OnnxBuilder,
): OnnxNode {
  const keep = int("keepdims", keepdim ? 1 : 0);
  if (axes === null) return { type, inputs: [from], attributes: [keep] };
  if (type === "ReduceMean" && builder.opset < MEAN_TAKES_AXES) {
    return { type, inputs: [from], attributes: [keep, ints("axes", axes)] };
  }
  return { type, inputs: [from, builder.integers("axes", axes)], attributes: [keep] };
}

function reducedShape(shape: readonly number[], axes: readonly number[] | null, keepdim: boolean): number[] {
  const isReduced = (axis: number) => axes === null || axes.includes(axis);
  return keepdim ? shape.map((n, axis) => (isReduced(axis) ? 1 : n)) : shape.filter((_, axis) => !isReduced(axis));
}

function sumWhole({ data, shape }: IntTensor, axes: readonly number[] | null, keepdim: boolean): IntTensor {
  const { permutation, outer, length, inner } = layoutOf(shape, axes);
  let lined = data;
  if (permutation !== null) {
    const strides = stridesOf(shape);
    lined = new Int32Array(data.length);
    const [lengths, steps] = [shape, strides].map((all) => permutation.map((axis) => all[axis]));
    gatherStrided(data, lined, { shape: lengths, strides: steps });
  }
  const sums = new Int32Array(outer * inner).map((_, i) => {
    const first = Math.floor(i / inner) * length * inner + (i % inner);
    let total = 0;
    for (let at = 0; at < length; at++) total += lined[first + at * inner];
    if (total !== (total | 0)) throw badArgument("sum", "a sum that 32 bits hold (x.float().sum())", total);
    return total;
  });
  return new IntTensor(sums, reducedShape(shape, axes, keepdim));
}

/**
 * How the reduced axes come to lie side by side: the order of the axes, null if they do, and how many elements lie
 * before, along and after them.
 */
function layoutOf(shape: readonly number[], axes: readonly number[] | null) {
  if (axes === null) return { permutation: null, outer: 1, length: numel(shape), inner: 1 };
  const [first, last] = [axes[0], axes[axes.length - 1]];
  if (last - first === axes.length - 1) {
    const length = numel(shape.slice(first, last + 1));
    return { permutation: null, outer: numel(shape.slice(0, first)), length, inner: numel(shape.slice(last + 1)) };
  }
  const kept = shape.flatMap((_, axis) => (axes.includes(axis) ? [] : [axis]));
  const outer = numel(kept.map((axis) => shape[axis]));
  return { permutation: [...kept, ...axes], outer, length: numel(axes.map((axis) => shape[axis])), inner: 1 };
}

/** The elements with the reduced axes side by side, and how many lie before, along and after these. */
function together({ data, shape }: Tensor, axes: readonly number[] | null) {
  const { permutation, ...lengths } = layoutOf(shape, axes);
  if (permutation === null) return { data, ...lengths };
  const permuted = allocate(data.length);
  permuteData(data, shape, permutation, permuted);
  return { data: permuted, ...lengths };
}

function scale(x: Float32Array, factor: number): Float32Array {
  const out = allocate(x.length);
  native.affine(x, factor, -0, out);
  return out;
}

defineMethods({ sum, mean });
defineMethods({ sum }, IntTensor);
