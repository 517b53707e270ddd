import type { SweepPoint } from "../compare/results.js";

/** Whether two points of a sweep are the same; the best point is a copy of one of them. */
export function isSamePoint(a: SweepPoint, b: SweepPoint): boolean {
  return a.temperature === b.temperature && a.alpha === b.alpha;
}

const TWO_SIDED_95 = 1.96;

/**
 * How far two accuracies near `accuracy`, each over `samples` samples, differ by chance alone: half the 95% interval of
 * the difference of two independent shares, 1.96 sqrt(2 p (1 - p) / n), each with one right and one wrong more (Agresti
 * and Caffo, 2000), so that all right is no proof of it. On the same samples they differ by less.
 */
export function samplingMargin(accuracy: number, samples: number): number {
  const n = samples + 2;
  const p = (samples * accuracy + 1) / n;
  return TWO_SIDED_95 * Math.sqrt((2 * p * (1 - p)) / n);
}
