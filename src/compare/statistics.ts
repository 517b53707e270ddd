import { expectNumber, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import type { PairedDifference, Spread } from "./result.js";
import { twoSidedQuantile, twoSidedTail } from "./student_t.js";

/**
 * Values with their mean and the sample's standard deviation (divided by n - 1; 0 for one value).
 *
 * @example
 * ```ts
 * spread([1, 2, 3]); // { values: [1, 2, 3], mean: 2, std: 1 }
 * ```
 */
export function spread(values: readonly number[]): Spread {
  expectValues("values", values);
  const [first] = values as [number];
  // Of equal values, where rounding would leave a small deviation.
  if (values.every((x) => x === first)) return { values: [...values], mean: first, std: 0 };
  const mean = sum(values) / values.length;
  const variance = sum(values.map((x) => (x - mean) ** 2)) / (values.length - 1);
  return { values: [...values], mean, std: Math.sqrt(variance) };
}

/**
 * What a's values have more than b's, pair by pair: the mean of the differences with its confidence interval, and the
 * two-sided p value of the paired t-test (Student, 1908), `scipy.stats.ttest_rel`. Of one pair, and where all differences
 * are equal, as they can be on a small test set, how far they spread is not known: the interval is infinite and p is 1.
 *
 * @example
 * ```ts
 * const { mean, low, high, pValue } = pairedDifference([0.91, 0.92, 0.9], [0.9, 0.9, 0.89]);
 * ```
 */
export function pairedDifference(a: readonly number[], b: readonly number[], confidence = 0.95): PairedDifference {
  expectValues("a", a);
  expectValues("b", b);
  if (a.length !== b.length) {
    throw new DistilleryError("BAD_ARGUMENT", `b: expected ${a.length} values, one for each of a, got ${b.length}`);
  }
  expectNumber("confidence", confidence, (x) => x > 0 && x < 1, "a number between 0 and 1");
  const differences = spread(a.map((x, i) => x - (b[i] as number)));
  const { mean, std } = differences;
  const degrees = a.length - 1;
  const error = std / Math.sqrt(a.length);
  // Equal shares of a test set, whose differences rounding keeps from being equal.
  const alike = std <= 4 * Number.EPSILON * Math.max(...[...a, ...b].map(Math.abs));
  const reach = alike ? Infinity : error * twoSidedQuantile(1 - confidence, degrees);
  const [low, high] = [mean - reach, mean + reach];
  const pValue = alike ? 1 : twoSidedTail(mean / error, degrees);
  return { ...differences, confidence, low, high, pValue, distinguishable: low > 0 || high < 0 };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, x) => total + x, 0);
}

function expectValues(name: string, values: unknown): void {
  if (!Array.isArray(values) || values.length === 0) {
    const got = Array.isArray(values) ? "none" : show(values);
    throw new DistilleryError("BAD_ARGUMENT", `${name}: expected a list of at least one number, got ${got}`);
  }
  values.forEach((value, i) => {
    expectNumber(`${name}[${i}]`, value, () => true, "a finite number");
  });
}
