import { expect } from "vitest";

/** How far a number may be from the expected one: the sum of the three allowances. */
export interface Tolerance {
  /** A distance. */
  abs?: number;
  /** A part of the expected number. */
  rel?: number;
  /** A part of the largest expected number of the array: for sums, whose rounding grows with what they add up. */
  ofLargest?: number;
}

/**
 * Compares element by element and names the first one that is too far off. For a Float32Array the expected decimals are
 * rounded to single precision first. NaN equals NaN only, and an infinity only itself.
 *
 * @example
 * ```ts
 * expectClose(Float32Array.of(1, 2), [1, 2.5], { abs: 0.1 }); // differs at [1]: got 2, expected 2.5 ...
 * ```
 */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { abs = 0, rel = 0, ofLargest = 0 }: Tolerance,
  what = "values",
): void {
  expect(actual.length, `${what}: number of elements`).toBe(expected.length);
  const wanted = Array.from(actual instanceof Float32Array ? Float32Array.from(expected) : expected);
  const base = abs + (ofLargest > 0 ? ofLargest * wanted.reduce((top, x) => Math.max(top, Math.abs(x)), 0) : 0);
  const wrong = wanted.flatMap((x, i) => (isClose(actual[i], x, base + rel * Math.abs(x)) ? [] : [i]));
  const first = wrong[0];
  if (first === undefined) return;
  const [got, aim] = [actual[first], wanted[first]];
  const allowed = base + rel * Math.abs(aim);
  expect.fail(
    `${what} differs at [${first}]: got ${got}, expected ${aim} (off by ${Math.abs(got - aim)}, allowed ${allowed}); ` +
      `${wrong.length} of ${wanted.length} elements differ`,
  );
}

function isClose(actual: number | undefined, expected: number, allowed: number): boolean {
  return Object.is(actual, expected) || Math.abs((actual as number) - expected) <= allowed;
}
