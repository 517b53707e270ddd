const TWO_SIDED_95 = 1.96;

/**
 * How far two accuracies near `accuracy`, each over `examples` examples, differ by chance alone: half the 95% interval of
 * the difference of two independent shares, 1.96 sqrt(2 p (1 - p) / n). On the same examples they differ by less.
 */
export function chanceOf(accuracy: number, examples: number): number {
  return TWO_SIDED_95 * Math.sqrt((2 * accuracy * (1 - accuracy)) / examples);
}
