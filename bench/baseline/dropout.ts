import type { MersenneTwister } from "./rng.js";

/** Draws which elements are kept, each with chance 1 - p, and applies it to x in place: kept ones are divided by 1 - p. */
export function dropout(x: Float32Array, p: number, random: MersenneTwister, keep: Uint8Array): void {
  const scale = 1 / (1 - p);
  for (let i = 0; i < x.length; i++) {
    const kept = random.unit() < 1 - p;
    keep[i] = kept ? 1 : 0;
    x[i] = kept ? x[i] * scale : 0;
  }
}
