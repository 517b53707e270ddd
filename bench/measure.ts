import { Bench } from "tinybench";
import { host } from "./host.js";

/** How long one body is run. */
export interface Budget {
  readonly milliseconds: number;
  readonly leastRuns: number;
}

/** The middle of several measurements, and where the middle of all such measurements lies, at 95%. */
export interface Estimate {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** The time of one call in milliseconds, after a warm-up. */
export function callTime(body: () => unknown, { milliseconds, leastRuns }: Budget): Estimate {
  const bench = new Bench({
    time: milliseconds,
    iterations: leastRuns,
    warmupTime: milliseconds / 4,
    warmupIterations: Math.ceil(leastRuns / 2),
    retainSamples: true,
    throws: true,
  });
  const [task] = bench.add("body", () => void body()).runSync();
  const result = task?.result;
  if (result?.state !== "completed") throw new Error(`measure: expected a completed run, got ${result?.state}`);
  return estimate(result.latency.samples as readonly number[]);
}

/**
 * The middle one of some numbers, or the mean of the two in the middle, between the order statistics that hold the
 * median of what they are drawn from in 95% of all cases, whatever its distribution. Fewer than 6 numbers can't be that
 * sure: theirs are the least and the largest.
 */
export function estimate(values: readonly number[]): Estimate {
  const sorted = [...values].sort((a, b) => a - b);
  const n = sorted.length;
  if (n === 0) throw new Error("estimate: expected at least one number, got none");
  // The normal approximation of the binomial distribution, rounded to the safe side.
  const beyond = Math.max(0, Math.floor((n - 1 - 1.96 * Math.sqrt(n)) / 2));
  const at = (i: number) => sorted[i];
  return { median: (at((n - 1) >> 1) + at(n >> 1)) / 2, low: at(beyond), high: at(n - 1 - beyond) };
}

/** The quotients of two bodies' times, round by round: what a busy host does to both is not in it. */
export function ratios(times: readonly number[], to: readonly number[]): Estimate {
  return estimate(times.map((time, i) => time / to[i]));
}

/**
 * Takes turns: each round asks every body once, so that a change of the machine's speed meets all of them; every other
 * round in the opposite order. A round in which the host was busy is made again, but no more of them than there are
 * rounds: on a host that is busy all the time, the benchmark takes twice as long, not for ever. Gives each body's
 * numbers.
 */
export async function takeTurns(
  rounds: number,
  bodies: readonly (() => number | Promise<number>)[],
  isBusy = () => host.isBusy(),
): Promise<number[][]> {
  const samples = bodies.map(() => [] as number[]);
  const order = [...bodies.keys()];
  let repeats = rounds;
  for (let round = 0; round < rounds; round++) {
    for (;;) {
      for (const i of order) (samples[i] as number[])[round] = await (bodies[i] as () => number | Promise<number>)();
      if (!isBusy() || repeats === 0) break;
      repeats -= 1;
    }
    order.reverse();
  }
  return samples;
}
