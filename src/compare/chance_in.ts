import type { CrossedDifference } from "./crossed_difference.js";

/** What the intervals of differences, all of one figure, are for. */
export function chanceIn(...differences: readonly CrossedDifference[]): string {
  return differences.some(hasSamples) ? "other seeds and other test samples" : "other seeds";
}

/** Whether the interval of a difference is for other test samples too. */
export function hasSamples({ samples }: CrossedDifference): boolean {
  // In JSON an infinite number is null.
  return samples === undefined || Number.isFinite(samples.low);
}
