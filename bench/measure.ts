import { Bench } from "tinybench";

/** How long one body is run. */
export interface Budget {
  readonly milliseconds: number;
  readonly leastRuns: number;
}

/** Times of several rounds. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The median time of one call in milliseconds, after a warm-up. */
export function medianTime(body: () => unknown, { milliseconds, leastRuns }: Budget): number {
  const bench = new Bench({
    time: milliseconds,
    iterations: leastRuns,
    warmupTime: milliseconds / 4,
    warmupIterations: Math.ceil(leastRuns / 2),
    throws: true,
  });
  const [task] = bench.add("body", () => void body()).runSync();
  const result = task?.result;
  if (result?.state !== "completed") throw new Error(`measure: expected a completed run, got ${result?.state}`);
  return result.latency.p50;
}

/** The middle one of some numbers, or the mean of the two in the middle, with the least and the largest. */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const [lower, upper] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  if (lower === undefined || upper === undefined) throw new Error("spread: expected at least one number, got none");
  return { median: (lower + upper) / 2, min: sorted[0] as number, max: sorted.at(-1) as number };
}

/**
 * Takes turns: each round asks every body once, in order, so that a change of the machine's speed meets all of them.
 * Gives each body's spread.
 */
export async function takeTurns(
  rounds: number,
  bodies: readonly (() => number | Promise<number>)[],
): Promise<Spread[]> {
  const samples = bodies.map(() => [] as number[]);
  for (let round = 0; round < rounds; round++) {
    for (const [i, body] of bodies.entries()) samples[i]?.push(await body());
  }
  return samples.map(spread);
}
