import { expectInteger, show } from "../checks.js";
import { DistilleryError } from "../errors.js";

/** Places in a data set of `length` examples; `BAD_DTYPE` or `BAD_ARGUMENT` with the first that is none. */
export function expectIndices(indices: Int32Array, length: number): void {
  if (!(indices instanceof Int32Array)) {
    throw new DistilleryError("BAD_DTYPE", `indices: expected an Int32Array, got ${show(indices)}`);
  }
  const wrong = indices.findIndex((index) => index < 0 || index >= length);
  if (wrong >= 0) expectInteger(`indices[${wrong}]`, indices[wrong], 0, length - 1);
}

/** Refuses what is no part of a data set of `length` examples. */
export function expectRange(start: number, end: number, length: number): void {
  expectInteger("start", start, 0, length);
  expectInteger("end", end, start, length);
}

/** The indices `start` to `end` (not included). */
export function indexRange(start: number, end: number): Int32Array {
  return new Int32Array(end - start).map((_, i) => start + i);
}
