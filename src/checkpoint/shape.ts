import { MAX_LENGTH, show } from "../checks.js";
import { gatherStrided } from "../tensor/gather_strided.js";
import type { StoredArray } from "./stored_types.js";

const MAX_RANK = 64;

/**
 * The number of elements of a shape from a file. Returns the text of an issue if a length is invalid, or if the product
 * is larger than any file can hold. Called before anything is allocated for the tensor.
 */
export function elementCount(key: string, shape: readonly unknown[]): { count: number } | { problem: string } {
  if (shape.length > MAX_RANK) return { problem: `${show(key)} has ${shape.length} axes, more than ${MAX_RANK}` };
  let [count, nonZero] = [1, 1];
  for (const length of shape) {
    if (typeof length !== "number" || !Number.isInteger(length) || length < 0 || length > MAX_LENGTH) {
      return { problem: `${show(key)} has a length of ${String(length)} in its shape` };
    }
    count *= length;
    nonZero *= Math.max(length, 1);
    // Checked even if another length is 0: the product must stay exact in any order of multiplication.
    if (nonZero > Number.MAX_SAFE_INTEGER) return { problem: `${show(key)} has an impossible shape` };
  }
  return { count };
}

/** The strides of a contiguous tensor. PyTorch counts a length of 0 as 1. */
export function contiguousStrides(shape: readonly number[]): number[] {
  const strides: number[] = new Array(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= Math.max(shape[axis], 1);
  }
  return strides;
}

/**
 * The elements of a view, row by row: a part of the same memory if they are contiguous, otherwise a copy. Returns the
 * text of an issue if the view exceeds its storage, or has more elements than it. `count` is the product of the shape.
 */
export function takeView(
  storage: StoredArray,
  { offset, shape, strides }: { offset: number; shape: readonly number[]; strides: readonly number[] },
  count: number,
): { data: StoredArray; copied: boolean } | { problem: string } {
  if (count === 0) return { data: storage.subarray(0, 0), copied: false };
  const last = shape.reduce((at, length, axis) => at + (length - 1) * strides[axis], offset);
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
