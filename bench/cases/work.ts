/** What a kernel gets through in one call. */
export interface Work {
  /** Additions, multiplications, divisions, roots and exponentials, each counted as one. */
  readonly flops: number;
  /** The least memory traffic: each array counted as often as the computation must read or write it. */
  readonly bytes: number;
  /** Numbers drawn from the random stream. */
  readonly draws: number;
  /** What its rate is told in. */
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
