import { argumentError, badArgument, expectFinite } from "../checks.js";
import { sum } from "../sums.js";
import {
  type Corrected,
  errorOf,
  expectConfidence,
  intervalOf,
  isAlike,
  type MeanError,
  type PairedDifference,
  pairedDifference,
  sampleStats,
} from "./statistics.js";

/** What one source of chance contributes to a mean difference, with the other source held fixed. */
export interface SourceOfChance {
  /** The standard error of the mean from this source; 0 if it is unknown. */
  error: number;
  /** The interval; infinite if the error is not known. */
  low: number;
  high: number;
  /** Two-sided, that the mean is 0. */
  pValue: number;
}

/**
 * The mean difference between two ways to train, over seeds and test samples, with one confidence interval for other
 * seeds and other samples of the same kind: `low`, `high` and `pValue` cover both.
 */
export interface CrossedDifference extends PairedDifference {
  /** The degrees of freedom of the interval (Satterthwaite); 0 if it is infinite. */
  degrees: number;
  /** Other seeds on these test samples: the paired t-test over the seeds. */
  seeds: SourceOfChance;
  /** Other test samples with these seeds: the paired test over the samples, of the seeds' mean difference. */
  samples: SourceOfChance;
}

/** A difference that is one of several. */
export type CorrectedDifference = CrossedDifference & Corrected;

/**
 * How much the scores of a exceed those of b. Both are [seeds][samples]: the score of each test sample with each seed,
 * 1 for right and 0 for wrong; `values` are the seeds' mean differences.
 *
 * With d the differences of n seeds and m samples, the variance of their mean is estimated as S / n + T / m: S is the
 * variance of the seeds' means, T that of the samples' means. It is what either source adds alone; their interaction,
 * students that change their mind on a sample from seed to seed, is counted in both, so the interval is rather too wide
 * than too narrow (Owen, The pigeonhole bootstrap, 2007). The interval is Student's t, its degrees of freedom (S / n +
 * T / m)² / ((S / n)² / (n - 1) + (T / m)² / (m - 1)) (Satterthwaite, 1946). If S is small by chance, these are too
 * many: the interval and the p value are never less cautious than those of the paired t-test over the seeds. T / m is
 * the squared error of the paired t-test over the samples: with one seed McNemar's (1947) but for centring.
 *
 * With one seed, or if all seeds differ by the same, their variance is not known, and the interval is infinite.
 *
 * @throws DistilleryError `BAD_ARGUMENT` if the lists are empty or of other lengths.
 * @example
 * ```ts
 * const { mean, low, high, seeds, samples } = crossedDifference(distilled, baseline);
 * ```
 */
export function crossedDifference(
  a: readonly ArrayLike<number>[],
  b: readonly ArrayLike<number>[],
  confidence = 0.95,
): CrossedDifference {
  const samples = expectScores(a, b);
  expectConfidence(confidence);
  const [ofA, ofB] = [a, b].map((scores) => scores.map((one) => sum(one) / samples));
  const bySeed = sampleStats(ofA.map((x, i) => x - ofB[i]));
  const bySample = sampleStats(sampleMeans(a, b, samples));
  const ofSeeds = errorOf(bySeed, isAlike(bySeed, [...ofA, ...ofB]));
  const ofSamples = errorOf(bySample, bySample.std === 0);
  const both = ofSeeds && ofSamples && sumOf(ofSeeds, ofSamples);
  const source = (of: MeanError | null): SourceOfChance => {
    const { low, high, pValue } = intervalOf(bySeed.mean, of, confidence);
    return { error: of === null ? 0 : of.error, low, high, pValue };
  };
  // If the seeds' differences are the same for each sample, the samples add nothing.
  const errors = both ? [both, ofSeeds] : [ofSamples === null && samples > 1 ? ofSeeds : null];
  const intervals = errors.map((of) => ({ ...intervalOf(bySeed.mean, of, confidence), degrees: of?.degrees ?? 0 }));
  const [widest] = intervals.toSorted((a, b) => b.high - a.high);
  const pValue = Math.max(...intervals.map((one) => one.pValue));
  return { ...bySeed, confidence, ...widest, pValue, seeds: source(ofSeeds), samples: source(ofSamples) };
}

/**
 * The same for a metric that is not a mean over samples, such as R², from its values by seed: the interval is for other
 * seeds only, and the samples' part is unknown.
 */
export function differenceOverSeeds(a: readonly number[], b: readonly number[]): CrossedDifference {
  const difference = pairedDifference(a, b);
  const { low, high, pValue } = difference;
  const { error, degrees } = errorOf(difference, !Number.isFinite(low)) ?? { error: 0, degrees: 0 };
  const samples = { error: 0, low: -Infinity, high: Infinity, pValue: 1 };
  return { ...difference, degrees, seeds: { error, low, high, pValue }, samples };
}

/** The error of a sum (Satterthwaite, An approximate distribution of estimates of variance components, 1946). */
function sumOf(a: MeanError, b: MeanError): MeanError {
  const error = Math.hypot(a.error, b.error);
  const [ofA, ofB] = [a, b].map((part) => (part.error / error) ** 4 / part.degrees);
  return { error, degrees: 1 / (ofA + ofB) };
}

/** The mean difference of each sample over the seeds. */
function sampleMeans(a: readonly ArrayLike<number>[], b: readonly ArrayLike<number>[], samples: number): number[] {
  return Array.from({ length: samples }, (_, j) => {
    let total = 0;
    for (let i = 0; i < a.length; i++) total += a[i][j] - b[i][j];
    return total / a.length;
  });
}

/** Gives the number of samples. */
function expectScores(a: readonly ArrayLike<number>[], b: readonly ArrayLike<number>[]): number {
  if (!Array.isArray(a) || a.length === 0) throw argumentError("a", "expected the scores of at least one seed");
  if (!Array.isArray(b) || b.length !== a.length)
    throw argumentError("b", `expected ${a.length} lists of scores, one for each of a`);
  const lists = Object.entries({ a, b }).flatMap(([name, scores]) =>
    scores.map((one, i): [string, ArrayLike<number>] => [`${name}[${i}]`, one]),
  );
  for (const [name, one] of lists) {
    if (!Number.isInteger(one?.length)) throw badArgument(name, "a list of scores", one);
  }
  const samples = a[0].length;
  for (const [name, one] of lists) {
    if (one.length !== samples || samples === 0) {
      throw argumentError(name, `expected ${samples || "at least 1"} scores, got ${one.length}`);
    }
    for (let j = 0; j < samples; j++) expectFinite(`${name}[${j}]`, one[j]);
  }
  return samples;
}
