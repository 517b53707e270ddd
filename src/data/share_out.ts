/**
 * Whole parts of groups of two and more, near the same share of each: between 1 and the group's size - 1, with a sum of
 * `count`, or of the rounded shares where a share is given. By the method of largest remainders (Hamilton's); of equal
 * remainders the first.
 */
export function shareOut(sizes: readonly number[], of: { share: number } | { count: number }): number[] {
  const share = "share" in of ? of.share : findShare(sizes, of.count);
  const wanted = sizes.map((size) => bounded(size, share));
  const parts = wanted.map(Math.floor);
  const missing = ("count" in of ? of.count : Math.round(sum(wanted))) - sum(parts);
  const remainder = (i: number) => (wanted[i] as number) - (parts[i] as number);
  const byRemainder = sizes.map((_, i) => i).sort((a, b) => remainder(b) - remainder(a));
  for (const i of byRemainder.slice(0, missing)) parts[i] = (parts[i] as number) + 1;
  return parts;
}

/** The share at which the bounded parts add up to `count`, by bisection. */
function findShare(sizes: readonly number[], count: number): number {
  let [low, high] = [0, 1];
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return high;
    if (sum(sizes.map((size) => bounded(size, middle))) < count) low = middle;
    else high = middle;
  }
}

function bounded(size: number, share: number): number {
  return Math.min(Math.max(size * share, 1), size - 1);
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
