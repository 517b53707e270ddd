import type { CompareResult, SweepResult } from "./result.js";

/**
 * What a comparison finds, in one sentence: the difference with the weights that were best on the validation set.
 *
 * @example
 * ```ts
 * compareAnswer(result);
 * // "Distilling raised test accuracy by 0.55 points (95% interval 0.31 to 0.79, 5 seeds): distinguishable from chance."
 * ```
 */
export function compareAnswer({ difference, seeds }: CompareResult): string {
  const { mean, low, high, confidence, distinguishable } = difference.best;
  const change = mean < 0 ? "lowered" : "raised";
  const by = `Distilling ${change} test accuracy by ${points(Math.abs(mean))} points`;
  if (seeds.length < 2) return `${by} (1 seed): one pair can't tell it from chance; give more seeds.`;
  const sign = mean < 0 ? -1 : 1;
  const [from, to] = [sign * low, sign * high].sort((a, b) => a - b) as [number, number];
  const interval = `${percent(confidence)}% interval ${points(from)} to ${points(to)}`;
  return `${by} (${interval}, ${seeds.length} seeds): ${distinguishable ? "" : "not "}distinguishable from chance.`;
}

/** What a sweep finds, in one sentence. */
export function sweepAnswer({ best }: SweepResult): string {
  const { temperature, alpha, validationAccuracy, evaluation } = best;
  const accuracy = `${points(validationAccuracy)}% on the validation set, ${points(evaluation.accuracy)}% on the test set`;
  return `Best with temperature ${temperature} and alpha ${alpha}: ${accuracy}.`;
}

/** A share in points of a percent. */
function points(share: number): string {
  const text = (100 * share).toFixed(2);
  return text === "-0.00" ? "0.00" : text;
}

function percent(share: number): string {
  return String(Number((100 * share).toFixed(1)));
}
