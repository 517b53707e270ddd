import { setImmediate } from "node:timers/promises";

/** Ranges of `step` that cover `from` to `length`, as `start` and `end` (exclusive). */
export function* slices(length: number, step: number, from = 0): Generator<[start: number, end: number], void> {
  for (let start = from; start < length; start += step) yield [start, Math.min(start + step, length)];
}

/** {@link slices} that yields to the event loop before each range. */
export async function* turns(...args: Parameters<typeof slices>): AsyncGenerator<[start: number, end: number], void> {
  for (const slice of slices(...args)) {
    await setImmediate();
    yield slice;
  }
}

/** Row `row` of a matrix of rows of `width`; shares its memory. */
export function rowOf<T>(matrix: { subarray(start: number, end: number): T }, row: number, width: number): T {
  return matrix.subarray(row * width, (row + 1) * width);
}
