import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import { int, ints } from "../tensor/onnx_node.js";
import { axisOf, numel } from "../tensor/shape.js";
import type { Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";
import { defineMethods } from "./methods.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** The sum of all elements, or along an axis. `torch.sum`. */
    sum(dim?: number, keepdim?: boolean): Tensor;
    /** The mean of all elements, or along an axis. `torch.mean`. */
    mean(dim?: number, keepdim?: boolean): Tensor;
  }
}

/** From here on ReduceMean takes its axes as an input, as ReduceSum does from 13 on. */
const MEAN_TAKES_AXES = 18;

interface Attributes {
  /** null for all. */
  readonly axis: number | null;
  readonly keepdim: boolean;
}

const sumOp = define("sum");
const meanOp = define("mean");

/** The sum of all elements, or along one axis. `torch.sum`. */
export function sum(x: Tensor, dim?: number, keepdim = false): Tensor {
  return sumOp([x], { axis: dim === undefined ? null : axisOf(x.shape, dim), keepdim });
}

/** The mean of all elements, or along one axis. `torch.mean`. */
export function mean(x: Tensor, dim?: number, keepdim = false): Tensor {
  return meanOp([x], { axis: dim === undefined ? null : axisOf(x.shape, dim), keepdim });
}

function define(name: "sum" | "mean") {
  return defineOp<Attributes, null>({
    name,
    forward([x], { axis, keepdim }) {
      const { outer, length, inner } = around(x.shape, axis);
      const kept = x.shape.map((n, i) => (axis === null || i === axis ? 1 : n));
      const shape = keepdim ? kept : axis === null ? [] : x.shape.filter((_, i) => i !== axis);
      const data = allocate(outer * inner);
      native.sumAxis(x.data, data, outer, length, inner, name === "mean" ? 1 / length : 1);
      return { data, shape, saved: null };
    },
    backward(grad, [into], { inputs: [x], attributes: { axis } }) {
      if (!into) return;
      const { outer, length, inner } = around(x.shape, axis);
      native.expand(grad, [outer, 1, inner], into, [outer, length, inner]);
      if (name === "sum") return;
      const wide = allocate(into.length);
      wide.set(into);
      native.affine(wide, 1 / length, 0, into);
    },
    onnx({ inputs, attributes: { axis, keepdim } }, builder) {
      const type = name === "sum" ? "ReduceSum" : "ReduceMean";
      const keep = int("keepdims", keepdim ? 1 : 0);
      if (axis === null) return { type, inputs, attributes: [keep] };
      if (name === "mean" && builder.opset < MEAN_TAKES_AXES) {
        return { type, inputs, attributes: [keep, ints("axes", [axis])] };
      }
      return { type, inputs: [...inputs, builder.integers("axes", [axis])], attributes: [keep] };
    },
    lower: ({ axis }) => ({ kind: name, ...(axis !== null && { axis }) }),
  });
}

/** A shape as what lies before, along and after an axis. */
function around(shape: readonly number[], axis: number | null) {
  if (axis === null) return { outer: 1, length: numel(shape), inner: 1 };
  return { outer: numel(shape.slice(0, axis)), length: shape[axis], inner: numel(shape.slice(axis + 1)) };
}

defineMethods({ sum, mean });
