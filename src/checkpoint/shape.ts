import { quote } from "./bad_checkpoint.js";

const MAX_RANK = 64;
const MAX_LENGTH = 2 ** 31 - 1;

/**
 * The number of elements of a shape out of a file; a problem's text where a length is no length, or their product is
 * more than any file can hold. Called before anything is allocated for the tensor.
 */
export function elementCount(key: string, shape: readonly unknown[]): { count: number } | { problem: string } {
  if (shape.length > MAX_RANK) return { problem: `${quote(key)} has ${shape.length} axes, more than ${MAX_RANK}` };
  let [count, nonZero] = [1, 1];
  for (const length of shape) {
    if (typeof length !== "number" || !Number.isInteger(length) || length < 0 || length > MAX_LENGTH) {
      return { problem: `${quote(key)} has a length of ${String(length)} in its shape` };
    }
    count *= length;
    nonZero *= Math.max(length, 1);
    // Also where another length is 0: the product must stay exact for whoever computes it in another order.
    if (nonZero > Number.MAX_SAFE_INTEGER) return { problem: `${quote(key)} has an impossible shape` };
  }
  return { count };
}

/** The strides of a shape whose elements lie row by row. PyTorch counts a length of 0 as 1. */
export function contiguousStrides(shape: readonly number[]): number[] {
  const strides: number[] = new Array(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= Math.max(shape[axis] as number, 1);
  }
  return strides;
}
