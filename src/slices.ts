import { setImmediate } from "node:timers/promises";

/** The ranges, from `start` to before `end`, in which `length` things are taken: `step` at a time, from `from` on. */
export function* slices(length: number, step: number, from = 0): Generator<[start: number, end: number], void> {
  for (let start = from; start < length; start += step) yield [start, Math.min(start + step, length)];
}

/** {@link slices}; other work of the event loop gets its turn before each. */
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
