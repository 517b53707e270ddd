/** What a case gets through in one call: what its rate is counted in. */
export interface Work {
  readonly amount: number;
  readonly unit: "FLOP" | "B" | "draws";
}

/** The same computation by a kernel and in plain TypeScript, on equal inputs. */
export interface Case {
  readonly name: string;
  readonly shape: string;
  readonly work: Work;
  readonly kernel: () => unknown;
  readonly plain: () => unknown;
  /** What each writes; equal up to rounding after one call of each. */
  readonly results: readonly [kernel: Float32Array, plain: Float32Array];
}

/** Numbers between -1 and 1, the same at every call. */
export function numbers(count: number): Float32Array {
  let word = count;
  return Float32Array.from({ length: count }, () => {
    word = (Math.imul(word, 1664525) + 1013904223) | 0;
    return word / 2 ** 31;
  });
}

/** The memory traffic of arrays that are read or written, each counted as often as it is given. */
export function bytes(...lengths: readonly number[]): Work {
  return { amount: 4 * lengths.reduce((sum, length) => sum + length, 0), unit: "B" };
}

/** The multiplications and additions of a product of [m, k] and [k, n]. */
export function productFlops(m: number, k: number, n: number): Work {
  return { amount: 2 * m * k * n, unit: "FLOP" };
}
