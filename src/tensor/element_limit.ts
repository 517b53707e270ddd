import { expectDimensions, expectElements } from "../checks.js";
import { numel } from "./shape.js";

let remaining = Number.POSITIVE_INFINITY;
let tooMany: () => Error = () => new Error("no limit is set");

/**
 * Runs `body`, in which `zeros`, `ones`, `rand` and `randn` may make at most `limit` elements in total, and throw the
 * error that `error` returns before they allocate more. For networks whose sizes come from a file, so that no more is
 * allocated than the file supports.
 */
export function withElementLimit<T>(limit: number, error: () => Error, body: () => T): T {
  const outer = { remaining, tooMany };
  [remaining, tooMany] = [limit, error];
  try {
    return body();
  } finally {
    ({ remaining, tooMany } = outer);
  }
}

/** The number of elements of a new tensor, which counts towards the limit. */
export function newElements(shape: readonly number[]): number {
  const count = numel(expectDimensions("shape", shape));
  if (count > remaining) throw tooMany();
  if (count >= 2 ** 31) expectElements("shape", shape);
  remaining -= count;
  return count;
}
