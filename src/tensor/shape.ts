import { expectInteger } from "../checks.js";
import { DistilleryError } from "../errors.js";

/** The number of elements of a shape. `torch.Size.numel`. */
export function numel(shape: readonly number[]): number {
  let product = 1;
  for (let i = 0; i < shape.length; i++) product *= shape[i];
  return product;
}

/** How far apart in memory the elements of each axis lie, row by row. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

/** A shape as the lengths before, along and after an axis; null for all axes as one. */
export function aroundAxis(shape: readonly number[], axis: number | null) {
  if (axis === null) return { outer: 1, length: numel(shape), inner: 1 };
  return { outer: numel(shape.slice(0, axis)), length: shape[axis], inner: numel(shape.slice(axis + 1)) };
}

/** The shape of what is left of an axis, or of all for null, that was reduced to one value. */
export function reducedShape(shape: readonly number[], axis: number | null, keepdim: boolean): number[] {
  if (keepdim) return shape.map((length, i) => (axis === null || i === axis ? 1 : length));
  return axis === null ? [] : shape.filter((_, i) => i !== axis);
}

/** Whether two shapes are the same. */
export function isSameShape(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let axis = 0; axis < a.length; axis++) if (a[axis] !== b[axis]) return false;
  return true;
}

/** An axis of a shape, counted from the end if it is negative. */
export function axisOf(shape: readonly number[], dim: number): number {
  const rank = shape.length;
  if (rank === 0) throw new DistilleryError("SHAPE_MISMATCH", "dim: expected a tensor with at least one axis, got []");
  const axis = expectInteger("dim", dim, -rank, rank - 1);
  return axis < 0 ? axis + rank : axis;
}

/** {@link axisOf}; of a tensor without axes 0 and -1 name it all, as in PyTorch, which is null. */
export function axisOrAll(shape: readonly number[], dim: number): number | null {
  if (shape.length > 0) return axisOf(shape, dim);
  expectInteger("dim", dim, -1, 0);
  return null;
}

/** A row range as `Array.prototype.slice` reads it: negative counts from the end, and it is cut to what there is. */
export function sliceRange(shape: readonly number[], start: number, end: number) {
  const rows = shape[0];
  if (rows === undefined) throw new DistilleryError("SHAPE_MISMATCH", "slice(): expected at least one axis, got []");
  const clip = (at: number) => Math.min(Math.max(at < 0 ? at + rows : at, 0), rows);
  const from = clip(expectInteger("start", start, Number.MIN_SAFE_INTEGER));
  const to = Math.max(from, clip(expectInteger("end", end, Number.MIN_SAFE_INTEGER)));
  return { from, to, width: numel(shape.slice(1)) };
}

/** Flat elements as nested arrays of a shape. */
export function toNested(data: ArrayLike<number>, shape: readonly number[]): unknown {
  if (shape.length === 0) return data[0];
  const build = (axis: number, offset: number): unknown => {
    const [length, width] = [shape[axis], numel(shape.slice(axis + 1))];
    return Array.from({ length }, (_, i) =>
      axis === shape.length - 1 ? data[offset + i] : build(axis + 1, offset + i * width),
    );
  };
  return build(0, 0);
}

/** Refuses a tensor that has not exactly one element. */
export function expectOneElement(shape: readonly number[], size: number): void {
  if (size === 1) return;
  const text = `item(): expected a tensor of one element, got one of shape [${shape.join(", ")}]: toArray() gives all`;
  throw new DistilleryError("SHAPE_MISMATCH", text);
}
