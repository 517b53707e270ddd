import { gatherStrided } from "../tensor/gather_strided.js";
import { contiguousStrides } from "./shape.js";
import type { StoredArray } from "./stored_types.js";

/**
 * The elements of a view, row by row: a part of the same memory where they lie so, otherwise a copy. A problem's text
 * where the view passes its storage, or has more elements than it. `count` is the product of the shape.
 */
export function takeView(
  storage: StoredArray,
  { offset, shape, strides }: { offset: number; shape: readonly number[]; strides: readonly number[] },
  count: number,
): { data: StoredArray; copied: boolean } | { problem: string } {
  if (count === 0) return { data: storage.subarray(0, 0), copied: false };
  const last = shape.reduce((at, length, axis) => at + (length - 1) * (strides[axis] as number), offset);
  if (last >= storage.length) return { problem: `reaches element ${last} of a storage of ${storage.length}` };
  if (count > storage.length) return { problem: "is an expanded view: write tensor.clone() in its place" };
  if (isContiguous(shape, strides)) return { data: storage.subarray(offset, offset + count), copied: false };
  const data = storage.slice(0, count);
  gatherStrided(storage, data, { shape, strides, offset });
  return { data, copied: true };
}

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  const expected = contiguousStrides(shape);
  return shape.every((length, axis) => length === 1 || strides[axis] === expected[axis]);
}
