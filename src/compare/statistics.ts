import { argumentError, badArgument, expectFinite, expectFraction, expectNumber, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { sum } from "../sums.js";
import { criticalValue, twoSidedPValue } from "./t_distribution.js";

/** A figure over the seeds. */
export interface SampleStats {
  /** In the order of the seeds. */
  values: number[];
  /** Of the values, all of the same weight. */
  mean: number;
  /** The sample's standard deviation; 0 for one value. */
  std: number;
}

/** The mean of differences between pairs, one a seed, with its confidence interval (Student's t). */
export interface PairedDifference extends SampleStats {
  /** Such as 0.95. */
  confidence: number;
  /** The interval; infinite with one seed, or if all are equal. */
  low: number;
  high: number;
  /** Two-sided, that the mean is 0. */
  pValue: number;
  /** Whether the interval leaves 0 out. */
  distinguishable: boolean;
}

/**
 * Values with their mean and the sample's standard deviation (divided by n - 1; 0 for one value).
 *
 * @throws DistilleryError `BAD_ARGUMENT` for no values.
 * @example
 * ```ts
 * sampleStats([1, 2, 3]); // { values: [1, 2, 3], mean: 2, std: 1 }
 * ```
 */
export function sampleStats(values: readonly number[]): SampleStats {
  expectValues("values", values);
  const [first] = values;
  // If all values are equal, rounding would leave a small deviation.
  if (values.every((x) => x === first)) return { values: [...values], mean: first, std: 0 };
  const mean = sum(values) / values.length;
  const deviations = values.map((x) => x - mean);
  const most = Math.max(...deviations.map(Math.abs));
  if (!Number.isFinite(most)) {
    throw new DistilleryError("NON_FINITE", "values: expected numbers whose differences a double holds");
  }
  // A power of two, which changes no bit: squares of very small and very large deviations stay in range.
  const unit = 2 ** Math.floor(Math.log2(most));
  const variance = sum(deviations.map((x) => (x / unit) ** 2)) / (values.length - 1);
  return { values: [...values], mean, std: unit * Math.sqrt(variance) };
}

/**
 * By how much the values of a exceed those of b, pair by pair: the mean of the differences with its confidence
 * interval, and the two-sided p value of the paired t-test (Student, 1908), `scipy.stats.ttest_rel`. With one pair, or
 * if all differences are equal, as they can be on a small test set, their variance is unknown: the interval is infinite
 * and p is 1.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for no values, or lists of different lengths.
 * @example
 * ```ts
 * const { mean, low, high, pValue } = pairedDifference([0.91, 0.92, 0.9], [0.9, 0.9, 0.89]);
 * ```
 */
export function pairedDifference(a: readonly number[], b: readonly number[], confidence = 0.95): PairedDifference {
  expectValues("a", a);
  expectValues("b", b);
  if (a.length !== b.length) {
    throw argumentError("b", `expected ${a.length} values, one for each of a, got ${b.length}`);
  }
  expectConfidence(confidence);
  const differences = sampleStats(a.map((x, i) => x - b[i]));
  const error = errorOf(differences, isAlike(differences, [...a, ...b]));
  return { ...differences, confidence, ...intervalOf(differences.mean, error, confidence) };
}

/** A mean's standard error, with the degrees of freedom of the estimate. */
export interface MeanError {
  error: number;
  degrees: number;
}

/** Null if it is not known. */
export function errorOf({ std, values }: SampleStats, isUnknown: boolean): MeanError | null {
  return isUnknown ? null : { error: std / Math.sqrt(values.length), degrees: values.length - 1 };
}

/** Student's t interval of a mean and the p value that it is 0; infinite and 1 if the error is not known. */
export function intervalOf(
  mean: number,
  of: MeanError | null,
  confidence: number,
): Pick<PairedDifference, "low" | "high" | "pValue" | "distinguishable"> {
  if (of === null) return { low: -Infinity, high: Infinity, pValue: 1, distinguishable: false };
  const reach = of.error * criticalValue(1 - confidence, of.degrees);
  const [low, high] = [mean - reach, mean + reach];
  return { low, high, pValue: twoSidedPValue(mean / of.error, of.degrees), distinguishable: low > 0 || high < 0 };
}

/**
 * Whether differences are equal but for the rounding of the values that they are of, such as equal shares of a test
 * set.
 */
export function isAlike({ std }: SampleStats, values: readonly number[]): boolean {
  return std <= 4 * Number.EPSILON * Math.max(...values.map(Math.abs));
}

/**
 * P values corrected for there being several (Holm, 1979): the smallest times their number, the next times one less,
 * and so on, none smaller than the one before, at most 1. In the order of the p values.
 * `statsmodels.stats.multitest.multipletests(method="holm")`.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for what is no p value.
 * @example
 * ```ts
 * holm([0.01, 0.04, 0.03]); // [0.03, 0.06, 0.06]
 * ```
 */
export function holm(pValues: readonly number[]): number[] {
  if (!Array.isArray(pValues)) throw badArgument("pValues", "a list of numbers", pValues);
  for (const [i, p] of pValues.entries()) {
    expectFraction(`pValues[${i}]`, p);
  }
  const corrected = new Array<number>(pValues.length);
  let least = 0;
  const order = [...pValues.keys()].sort((a, b) => pValues[a] - pValues[b]);
  for (const [rank, i] of order.entries()) {
    least = Math.max(least, Math.min(1, (pValues.length - rank) * pValues[i]));
    corrected[i] = least;
  }
  return corrected;
}

/** What the correction for several comparisons says of a difference. */
export interface Corrected {
  /** Holm's correction (1979) of the p value, for as many comparisons as there are. */
  correctedPValue: number;
  /** Whether the corrected p value is below 1 - confidence. The interval is that of the one difference. */
  significant: boolean;
}

/** Differences of a family of `size`, of which those that are left out have larger p values. */
export function corrected<D extends PairedDifference>(
  differences: readonly D[],
  size = differences.length,
): (D & Corrected)[] {
  const others = new Array<number>(size - differences.length).fill(1);
  const pValues = holm([...differences.map(({ pValue }) => pValue), ...others]);
  return differences.map((one, i) => {
    return { ...one, correctedPValue: pValues[i], significant: pValues[i] < 1 - one.confidence };
  });
}

/** Refuses what is no confidence, such as 0.95. */
export function expectConfidence(confidence: number): void {
  expectNumber("confidence", confidence, (x) => x > 0 && x < 1, "a number between 0 and 1");
}

function expectValues(name: string, values: unknown): void {
  if (!Array.isArray(values) || values.length === 0) {
    const got = Array.isArray(values) ? "none" : show(values);
    throw argumentError(name, `expected a list of at least one number, got ${got}`);
  }
  values.forEach((value, i) => {
    expectFinite(`${name}[${i}]`, value);
  });
}
