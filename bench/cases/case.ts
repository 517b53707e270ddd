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

/** What a kernel gets through in one call. */
export interface Work {
  /** Additions, multiplications, divisions, roots and exponentials, each counted as one. */
  readonly flops: number;
  /** The least memory traffic: each array counted as often as the computation must read or write it. */
  readonly bytes: number;
  /** Numbers drawn from the random stream. */
  readonly draws: number;
  /** The unit of its rate. */
  readonly unit: "FLOP" | "B" | "draws";
}

/** Arithmetic that an element of an array takes, `flops` for each, and arrays of `lengths` floats that pass by. */
export function elementwise(count: number, flops: number, ...lengths: readonly number[]): Work {
  return { flops: count * flops, bytes: floats(...lengths), draws: 0, unit: "B" };
}

/** A product of [m, k] and [k, n], with every array passing by once. */
export function product(m: number, k: number, n: number): Work {
  return { flops: 2 * m * k * n, bytes: floats(m * k, k * n, m * n), draws: 0, unit: "FLOP" };
}

/** `count` draws from the random stream, with arrays of `lengths` floats that pass by. */
export function draws(count: number, ...lengths: readonly number[]): Work {
  return { flops: count, bytes: floats(...lengths), draws: count, unit: "draws" };
}

/** Two pieces of work, one after the other. */
export function both(a: Work, b: Work): Work {
  return { flops: a.flops + b.flops, bytes: a.bytes + b.bytes, draws: a.draws + b.draws, unit: a.unit };
}

/** In 10^9 of the work's unit a second. */
export function rateOf(work: Work, ms: number): number {
  const amount = { FLOP: work.flops, B: work.bytes, draws: work.draws }[work.unit];
  return amount / ms / 1e6;
}

function floats(...lengths: readonly number[]): number {
  return 4 * lengths.reduce((sum, length) => sum + length, 0);
}
