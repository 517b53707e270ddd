import { expectElements } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import type { JsBuilder, JsFunction } from "../tensor/js_form.js";
import { isSameShape, numel, stridesOf } from "../tensor/shape.js";
import type { Tensor } from "../tensor/tensor.js";

interface Shaped {
  readonly shape: readonly number[];
}

/** The shape that NumPy broadcasts two tensors to. */
export function broadcastShape(op: string, a: Shaped, b: Shaped): readonly number[] {
  if (isSameShape(a.shape, b.shape)) return a.shape;
  const rank = Math.max(a.shape.length, b.shape.length);
  const shape: number[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const [ofA, ofB] = [lengthAt(a.shape, axis, rank), lengthAt(b.shape, axis, rank)];
    if (ofA !== ofB && ofA !== 1 && ofB !== 1) {
      const shapes = `[${a.shape.join(", ")}] and [${b.shape.join(", ")}]`;
      throw new DistilleryError("SHAPE_MISMATCH", `${op}: other: expected shapes that broadcast, got ${shapes}`);
    }
    shape.push(ofA === 1 ? ofB : ofA);
  }
  expectElements(op, shape);
  return shape;
}

/** An operand for a native binary kernel: its elements, and how many times each is repeated. */
export function broadcastOperand(x: Tensor, shape: readonly number[]): { data: Float32Array; each: number } {
  const each = isSameShape(x.shape, shape) ? 1 : timesInRow(x.shape, shape);
  return each === null ? { data: expanded(x.data, x.shape, shape), each: 1 } : { data: x.data, each };
}

/** How many times each element is repeated in the broadcast shape; null if the elements do not simply repeat. */
function timesInRow(operand: readonly number[], shape: readonly number[]): number | null {
  const rank = shape.length;
  let axis = rank - 1;
  let each = 1;
  for (; axis >= 0 && lengthAt(operand, axis, rank) === 1; axis--) each *= shape[axis];
  while (axis >= 0 && lengthAt(operand, axis, rank) === shape[axis]) axis--;
  while (axis >= 0 && lengthAt(operand, axis, rank) === 1) axis--;
  return axis < 0 ? each : null;
}

/** The elements of an array of a shape, repeated to a larger one. */
export function expanded(data: Float32Array, from: readonly number[], shape: readonly number[]): Float32Array {
  if (isSameShape(from, shape)) return data;
  const wide = allocate(numel(shape));
  native.stridedCopy(data, [...shape], expandedStrides(from, shape), 0, wide);
  return wide;
}

const STRIDED: JsFunction = {
  name: "strided",
  source: `
/** The elements of x from an offset on, by the lengths of axes and the steps along them. */
function strided(x, lengths, steps, offset = 0) {
  const y = new Float32Array(lengths.reduce((product, length) => product * length, 1));
  const last = lengths.length - 1;
  let at = 0;
  const copy = (axis, from) => {
    for (let i = 0; i < lengths[axis]; i++, from += steps[axis]) {
      if (axis === last) y[at++] = x[from];
      else copy(axis + 1, from);
    }
  };
  copy(0, offset);
  return y;
}`,
};

/** The JavaScript of a strided copy, without axes of length 1. */
export function stridedJs(
  x: string,
  shape: readonly number[],
  strides: readonly number[],
  offset: number,
  { call }: JsBuilder,
): string {
  const axes = shape.flatMap((length, axis) => (length === 1 ? [] : [axis]));
  const kept = axes.length === 0 ? [shape.length - 1] : axes;
  const [lengths, steps] = [shape, strides].map((all) => `[${kept.map((axis) => all[axis] ?? 1).join(", ")}]`);
  return call(STRIDED, x, lengths, steps, ...(offset === 0 ? [] : [offset]));
}

/** The JavaScript of an operand, repeated to a larger shape. */
export function broadcastJs(x: string, from: readonly number[], shape: readonly number[], builder: JsBuilder): string {
  return numel(from) === numel(shape) ? x : stridedJs(x, shape, expandedStrides(from, shape), 0, builder);
}

/** The strides that repeat a shape to a larger one: 0 along what is repeated. */
export function expandedStrides(from: readonly number[], shape: readonly number[]): number[] {
  const strides = stridesOf(from);
  const lead = shape.length - from.length;
  return shape.map((length, axis) => (axis < lead || from[axis - lead] !== length ? 0 : strides[axis - lead]));
}

/**
 * Writes a gradient of the broadcast shape into that of an operand, summed over what was repeated. The gradient is an
 * array, or a function that fills one.
 */
export function writeSummed(
  into: Float32Array | null,
  operand: readonly number[],
  shape: readonly number[],
  gradient: Float32Array | ((wide: Float32Array) => void),
): void {
  if (into === null) return;
  const isSame = isSameShape(operand, shape);
  if (typeof gradient !== "function") {
    if (isSame) into.set(gradient);
    else native.sumTo(gradient, [...shape], into, [...operand]);
    return;
  }
  const wide = isSame ? into : allocate(numel(shape));
  gradient(wide);
  if (!isSame) native.sumTo(wide, [...shape], into, [...operand]);
}

function lengthAt(shape: readonly number[], axis: number, rank: number): number {
  const own = axis - rank + shape.length;
  return own < 0 ? 1 : shape[own];
}
