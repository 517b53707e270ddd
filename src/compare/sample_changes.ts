import { type CorrectedDifference, corrected, crossedDifference } from "./crossed_difference.js";
import { type SampleStats, sampleStats } from "./statistics.js";

/** The shares of samples on which a student differs from another network in being right, over the seeds. */
export interface Flips {
  /** Wrong before, right now. */
  gained: SampleStats;
  /** Right before, wrong now: negative flips (Yan et al., Positive-congruent training, 2021). */
  lost: SampleStats;
}

/** What distilling changes in one class, distilled less baseline: p values are corrected for the number of classes (Holm). */
export interface ClassDifference extends CorrectedDifference {
  class: number;
  /** Test samples of the class. */
  support: number;
  /** The shares that are classified right. */
  baseline: number;
  distilled: number;
}

/** Right (1) or wrong (0) by seed and sample. */
type Right = readonly ArrayLike<number>[];

/** How often `now` is right where `before` was wrong, and the other way round, seed by seed. */
export function flipsOf(now: Right, before: Right): Flips {
  const share = (was: number, is: number) =>
    sampleStats(
      now.map(
        (right, seed) => Array.from(right).filter((x, i) => x === is && before[seed][i] === was).length / right.length,
      ),
    );
  return { gained: share(0, 1), lost: share(1, 0) };
}

/**
 * The accuracy of each class alone (the mean of what is right of its samples), distilled less baseline, with the interval of
 * {@link crossedDifference} over its samples. A mean over all classes hides those that lose (Mohammadshahi and Ioannou, 2025).
 */
export function classDifferences(
  distilled: Right,
  baseline: Right,
  labels: Int32Array,
  classes: number,
): ClassDifference[] {
  const ofClass = (right: Right, label: number) =>
    right.map((one) => Array.from(one).filter((_, i) => labels[i] === label));
  const present = Array.from({ length: classes }, (_, label) => label).filter((label) => labels.includes(label));
  const parts = present.map((label) => ({ label, now: ofClass(distilled, label), before: ofClass(baseline, label) }));
  const differences = corrected(parts.map(({ now, before }) => crossedDifference(now, before)));
  const mean = (right: readonly number[][]) => sampleStats(right.map((one) => sampleStats(one).mean)).mean;
  return parts.map(({ label, now, before }, i) => ({
    ...differences[i],
    class: label,
    support: now[0].length,
    baseline: mean(before),
    distilled: mean(now),
  }));
}
