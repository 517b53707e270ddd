import { Bench } from "tinybench";

/** How long one body is run. */
export interface Budget {
  readonly milliseconds: number;
  readonly leastRuns: number;
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
