import { describe, expect, test } from "vitest";
import { formatSeconds, TimeLeft } from "../../src/log/time_left.js";

type Mark = [time: number, done: number];

/** What is said last when so many steps are made at each of these times. */
function leftAt(total: number, ...marks: readonly Mark[]): number | null {
  const left = new TimeLeft();
  return marks.map(([time, done]) => left.after(done, total, time)).at(-1) ?? null;
}

const marks = (count: number, at: (i: number) => Mark) => Array.from({ length: count }, (_, i) => at(i));

describe("TimeLeft", () => {
  test("a steady pace: the steps left, over the steps a second", () => {
    expect(leftAt(1099, ...marks(100, (i) => [50 + i / 10, i]))).toBeCloseTo(100, 6);
  });

  test("a run that was resumed has its own pace", () => {
    expect(leftAt(1000, [7, 500], [9, 520])).toBeCloseTo(48, 6);
  });

  test("a pace that has changed: the second half counts", () => {
    const slow = marks(101, (i) => [i, i]);
    const fast = marks(101, (i) => [100 + i, 100 + 10 * i]);
    // The half begins at the last mark before it: 1001 steps in 101 seconds.
    expect(leftAt(2100, ...slow, ...fast)).toBeCloseTo((1000 * 101) / 1001, 6);
  });

  test("it is too early in the first second, and before a second step", () => {
    expect(leftAt(100, [0, 1])).toBe(null);
    expect(leftAt(100, [0, 1], [0.9, 50])).toBe(null);
    expect(leftAt(100, [0, 1], [5, 1])).toBe(null);
  });

  test("at the end nothing is left", () => {
    expect(leftAt(100, [0, 1], [5, 100])).toBe(0);
  });
});

test.each([
  [0, "0:00"],
  [0.2, "0:01"],
  [59.4, "1:00"],
  [65, "1:05"],
  [3599.5, "1:00:00"],
  [3725, "1:02:05"],
  [360_000, "100:00:00"],
])("%d seconds as %s", (seconds, text) => {
  expect(formatSeconds(seconds)).toBe(text);
});
