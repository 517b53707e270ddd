import type { Work } from "./work.js";

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
