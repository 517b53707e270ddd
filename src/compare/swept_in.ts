import type { SweepResult } from "./results.js";

/** What a sweep's points differ in. */
export function sweptIn({ swept = ["temperature", "alpha"] }: Pick<SweepResult, "swept">) {
  return swept;
}
