import { badArgument, badDtype, expectElements, expectLength, expectShape, outOfRange } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import { IntTensor, type Labels, labelData } from "../tensor/int_tensor.js";
import type { JsFunction } from "../tensor/js_form.js";
import { int } from "../tensor/onnx_node.js";
import { aroundAxis, axisOf, numel, stridesOf } from "../tensor/shape.js";
import { expectTensor, Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";
import { defineMethods } from "./methods.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** The elements of an axis that the index names, in its order. `torch.index_select`. */
    indexSelect(dim: number, index: Labels): Tensor;
    /** For each element of the index, the element of the axis that it names. `torch.gather`. */
    gather(dim: number, index: IntTensor): Tensor;
    /** A copy with elements of `src`, or a number, put where the index says along the axis. `torch.scatter`. */
    scatter(dim: number, index: IntTensor, src: Tensor | number, extra?: never): Tensor;
  }
}

interface Attributes {
  readonly axis: number;
  readonly index: IntTensor;
}

const INDEX_SELECT: JsFunction = {
  name: "indexSelect",
  source: `
/** The elements at these indices along an axis of x [..., length, inner]. */
function indexSelect(x, indices, length, inner) {
  const outer = x.length / (length * inner);
  const y = new Float32Array(outer * indices.length * inner);
  for (let i = 0; i < outer; i++) {
    indices.forEach((index, j) => {
      const from = (i * length + index) * inner;
      y.set(x.subarray(from, from + inner), (i * indices.length + j) * inner);
    });
  }
  return y;
}`,
};

const indexSelectOp = defineOp<Attributes, null>({
  name: "indexSelect",
  forward([x], { axis, index }) {
    const { outer, length, inner } = aroundAxis(x.shape, axis);
    expectElements("indexSelect", [outer, index.size, inner]);
    const data = allocate(outer * index.size * inner);
    native.indexSelect(x.data, outer, length, inner, index.data, data);
    return { data, shape: x.shape.map((n, i) => (i === axis ? index.size : n)), saved: null };
  },
  backward(grad, [into], { inputs: [x], attributes: { axis, index } }) {
    const { outer, length, inner } = aroundAxis(x.shape, axis);
    if (into) native.indexAdd(grad, outer, length, inner, index.data, into);
  },
  onnx: ({ inputs: [x], attributes: { axis, index } }, builder) => ({
    type: "Gather",
    inputs: [x, builder.integers("indices", [...index.data])],
    attributes: [int("axis", axis)],
  }),
  lower: ({ axis, index }) => ({ kind: "indexSelect", axes: [axis], indices: [...index.data] }),
  js({ inputs: [x], shapes: [from], attributes: { axis, index } }, { call, list }) {
    const { length, inner } = aroundAxis(from, axis);
    return call(INDEX_SELECT, x, list("indices", [...index.data]), length, inner);
  },
});

const SCATTER: JsFunction = {
  name: "scatter",
  source: `
/** A copy of x with other elements at these indices. */
function scatter(x, indices, elements) {
  const y = x.slice();
  indices.forEach((index, i) => {
    y[index] = elements[i];
  });
  return y;
}`,
};

/** Where the elements that an index names along an axis lie in an array of a shape. */
function flatIndices(shape: readonly number[], axis: number, index: IntTensor): number[] {
  const [strides, own] = [stridesOf(shape), stridesOf(index.shape)];
  return Array.from(index.data, (along, at) => {
    const coordinate = (i: number) => (i === axis ? along : Math.floor(at / own[i]) % index.shape[i]);
    return strides.reduce((sum, stride, i) => sum + stride * coordinate(i), 0);
  });
}

const gatherOp = defineOp<Attributes, null>({
  name: "gather",
  forward([x], { axis, index }) {
    const data = allocate(index.size);
    native.gather(x.data, [...x.shape], axis, index.data, [...index.shape], data);
    return { data, shape: index.shape, saved: null };
  },
  backward(grad, [into], { inputs: [x], attributes: { axis, index } }) {
    if (into) native.scatter(grad, into.fill(0), [...x.shape], axis, index.data, [...index.shape], true);
  },
  lower: ({ axis, index }) => ({ kind: "gather", axes: [axis], indices: [...index.data] }),
  js({ inputs: [x], shapes: [from], attributes: { axis, index } }, { call, list }) {
    return call(INDEX_SELECT, x, list("indices", flatIndices(from, axis, index)), numel(from), 1);
  },
});

/** Inputs x and the source. */
const scatterOp = defineOp<Attributes, null>({
  name: "scatter",
  forward([x, src], { axis, index }) {
    const data = allocate(x.size);
    data.set(x.data);
    native.scatter(src.data, data, [...x.shape], axis, index.data, [...index.shape], false);
    return { data, shape: x.shape, saved: null };
  },
  backward(grad, [intoX, intoSrc], { inputs: [x], attributes: { axis, index } }) {
    const shape = [...x.shape];
    if (intoX) {
      intoX.set(grad);
      native.scatter(ZERO, intoX, shape, axis, index.data, [...index.shape], false);
    }
    if (intoSrc) native.gather(grad, shape, axis, index.data, [...index.shape], intoSrc);
  },
  lower: ({ axis, index }) => ({ kind: "scatter", axes: [axis], indices: [...index.data] }),
  js: ({ inputs: [x, src], shapes: [from], attributes: { axis, index } }, { call, list }) =>
    call(SCATTER, x, list("indices", flatIndices(from, axis, index)), src),
});

const ZERO = new Float32Array(1);

/** The elements of an axis that the index [count] names, in its order. `torch.index_select`. */
export function indexSelect(x: Tensor, dim: number, index: Labels): Tensor {
  expectTensor("indexSelect: x", x);
  const copy = new IntTensor(labelData(index).slice());
  if (index instanceof IntTensor && index.shape.length > 1) expectShape("indexSelect: index", index.shape, [-1]);
  return indexSelectOp([x], { axis: axisOf(x.shape, dim), index: copy });
}

/**
 * For each element of the index, the element of x at its position, but along axis `dim` where the index says.
 * `torch.gather`.
 *
 * @example
 * ```ts
 * const logits = tensor([[1, 2, 3], [4, 5, 6]]);
 * logits.gather(1, new IntTensor(Int32Array.of(2, 0), [2, 1])).toArray(); // [[3], [4]]
 * ```
 */
export function gather(x: Tensor, dim: number, index: IntTensor): Tensor {
  expectTensor("gather: x", x);
  return gatherOp([x], { axis: axisOf(x.shape, dim), index: expectIndex("gather", x, index) });
}

/** A copy of x with the elements of `src`, or a number, put where the index says along axis `dim`. `torch.scatter`. */
export function scatter(x: Tensor, dim: number, index: IntTensor, src: Tensor | number, extra?: never): Tensor {
  expectTensor("scatter: x", x);
  if (extra !== undefined)
    throw badArgument("scatter", "x, dim, index and src alone: elements are put, not reduced", extra);
  const attributes = { axis: axisOf(x.shape, dim), index: expectIndex("scatter", x, index) };
  if (typeof src === "number") {
    return scatterOp([x, new Tensor(new Float32Array(index.size).fill(src), index.shape)], attributes);
  }
  expectTensor("scatter: src", src);
  if (src.shape.join() !== index.shape.join()) {
    const text = `scatter: src: expected the index's shape [${index.shape.join(", ")}], got [${src.shape.join(", ")}]`;
    throw new DistilleryError("SHAPE_MISMATCH", text);
  }
  return scatterOp([x, src], attributes);
}

/**
 * 1 at the class of each label, else 0: the labels' shape with an axis of `numClasses` behind it.
 * `torch.nn.functional.one_hot`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `LABEL_OUT_OF_RANGE` for a label that is no class below `numClasses`.
 * @example
 * ```ts
 * F.oneHot(Int32Array.of(2, 0), 3).toArray(); // [[0, 0, 1], [1, 0, 0]]
 * ```
 */
export function oneHot(labels: Labels, numClasses?: number): IntTensor {
  const data = labelData(labels);
  if (numClasses !== undefined) expectLength("oneHot: numClasses", numClasses);
  const classes = numClasses ?? data.reduce((most, label) => Math.max(most, label + 1), 0);
  const shape = labels instanceof IntTensor ? labels.shape : [data.length];
  expectElements("oneHot", [...shape, classes]);
  const out = new Int32Array(numel(shape) * classes);
  for (let i = 0; i < data.length; i++) {
    const label = data[i];
    if (label < 0 || label >= classes) throw outOfRange(`oneHot: labels[${i}]`, classes, label);
    out[i * classes + label] = 1;
  }
  return new IntTensor(out, [...shape, classes]);
}

/** A copy of an index, for the backward pass: its array is the caller's. */
function expectIndex(op: string, x: Tensor, index: IntTensor): IntTensor {
  if (!(index instanceof IntTensor)) throw badDtype(`${op}: index`, "an IntTensor", index);
  if (index.shape.length === x.shape.length) {
    return new IntTensor(index.data.slice(), index.shape);
  }
  const text = `${op}: index: expected as many axes as [${x.shape.join(", ")}], got [${index.shape.join(", ")}]`;
  throw new DistilleryError("SHAPE_MISMATCH", text);
}

defineMethods({ indexSelect, gather, scatter });
