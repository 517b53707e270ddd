import type { CompareResult, SweepResult } from "./results.js";

/**
 * What a comparison finds, in one sentence: the difference with the weights of the epochs that were best on the validation
 * set, or of the last ones.
 *
 * @example
 * ```ts
 * compareSummary(result);
 * // "Distilling raised test accuracy by 0.55 points (95% interval 0.31 to 0.79, 5 seeds): distinguishable from chance."
 * ```
 */
export function compareSummary({ difference, seeds }: CompareResult, weights: "best" | "last" = "best"): string {
  const { mean, low, high, confidence, distinguishable } = difference[weights];
  const what = weights === "best" ? "test accuracy" : "the last epoch's test accuracy";
  if (seeds.length < 2) {
    return `Distilling changed ${what} by ${signed(mean)} points (1 seed): one pair can't tell it from chance; give more seeds.`;
  }
  const about = (from: number, to: number) =>
    `(${percent(confidence)}% interval ${points(from)} to ${points(to)}, ${seeds.length} seeds)`;
  if (!Number.isFinite(low)) {
    return `Distilling changed ${what} by ${signed(mean)} points with each of ${seeds.length} seeds alike: how far chance reaches is not known; give more seeds.`;
  }
  if (!distinguishable) {
    return `Distilling changed ${what} by ${signed(mean)} points ${about(low, high)}: not distinguishable from chance.`;
  }
  const [change, interval] = mean < 0 ? ["lowered", about(-high, -low)] : ["raised", about(low, high)];
  return `Distilling ${change} ${what} by ${points(Math.abs(mean))} points ${interval}: distinguishable from chance.`;
}

/**
 * What a comparison of several losses finds, in one sentence a loss: its difference to the baseline, and whether that is
 * distinguishable from chance after Holm's correction.
 */
export function methodsSummary({ methods, seeds }: CompareResult): string[] {
  return methods.map(({ loss, difference: { best } }) => {
    const { mean, low, high, confidence, correctedPValue, significant } = best;
    const change = `${loss}: ${signed(mean)} points of test accuracy against the baseline`;
    if (!Number.isFinite(low))
      return `${change} (${seeds.length < 2 ? "1 seed" : "all seeds alike"}): give more seeds.`;
    const interval = `${percent(confidence)}% interval ${points(low)} to ${points(high)}`;
    const sure = significant ? "distinguishable" : "not distinguishable";
    return `${change} (${interval}, p ${correctedPValue.toPrecision(2)} corrected for ${methods.length} losses): ${sure} from chance.`;
  });
}

/** What a sweep finds, in one sentence. */
export function sweepSummary({ best }: SweepResult): string {
  const { temperature, alpha, validationAccuracy, evaluation } = best;
  const accuracy = `${points(validationAccuracy)}% on the validation set, ${points(evaluation.accuracy)}% on the test set`;
  return `Best with temperature ${temperature} and alpha ${alpha}: ${accuracy}.`;
}

/** A share in points of a percent. */
function points(share: number): string {
  const text = (100 * share).toFixed(2);
  return text === "-0.00" ? "0.00" : text;
}

function signed(share: number): string {
  return share > 0 ? `+${points(share)}` : points(share);
}

function percent(share: number): string {
  return String(Number((100 * share).toFixed(1)));
}
