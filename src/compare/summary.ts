import { expectOneOf } from "../checks.js";
import {
  epochKey,
  isBetter,
  type Metric,
  metricsOf,
  showChange,
  showMetric,
  showSigned,
  unitOf,
} from "../tasks/metrics.js";
import { chanceIn, hasSamples } from "./chance_in.js";
import { expectResult } from "./expect_result.js";
import type { CompareResult, Method, SweepResult } from "./results.js";
import type { PairedDifference, SampleStats } from "./statistics.js";
import { sweptIn } from "./swept_in.js";

/**
 * What a comparison finds, in one sentence: the difference with the weights of the epochs that were best on the
 * validation set, or of the last ones.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for what is no result of `compare`.
 * @example
 * ```ts
 * compareSummary(result);
 * // "Distilling raised test accuracy by 0.55 points (95% interval 0.31 to 0.79, 5 seeds): distinguishable from chance."
 * ```
 */
export function compareSummary(result: CompareResult, weights: "best" | "last" = "best"): string {
  expectOneOf("weights", weights, ["best", "last"]);
  expectResult("compare", result, ["seeds", `difference.${weights}`]);
  const { data, difference, seeds } = result;
  const { mean, low, high, confidence, distinguishable } = difference[weights];
  const [metric] = metricsOf(data);
  const what = `${weights === "best" ? "" : "the last epoch's "}test ${metric.label}`;
  const [points, unit] = [(change: number) => showChange(metric, change), unitOf(metric)];
  const changed = `Distilling changed ${what} by ${showSigned(metric, mean)}${unit}`;
  if (seeds.length < 2) return `${changed} (1 seed): one pair can't tell it from chance; give more seeds.`;
  const about = (from: number, to: number) =>
    `(${percent(confidence)}% interval ${points(from)} to ${points(to)}, ${seeds.length} seeds)`;
  if (!Number.isFinite(low)) {
    return `${changed} with each of ${seeds.length} seeds alike: how far chance reaches is not known; give more seeds.`;
  }
  if (!distinguishable) {
    const { seeds: alone } = difference[weights];
    const ofSeeds =
      alone !== undefined && alone.pValue < 1 - confidence
        ? `; with these test samples it holds for other seeds (${points(alone.low)} to ${points(alone.high)}), with others it may not`
        : "";
    return `${changed} ${about(low, high)}: not distinguishable from chance${ofSeeds}.`;
  }
  const [change, interval] = mean < 0 ? ["lowered", about(-high, -low)] : ["raised", about(low, high)];
  return `Distilling ${change} ${what} by ${points(Math.abs(mean))}${unit} ${interval}: distinguishable from chance.`;
}

/**
 * What the intervals of a comparison cover, and what they do not, in one sentence.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for what is no result of `compare`.
 * @example
 * ```ts
 * console.log(scopeOf(result)); // "Intervals are for other seeds and other test samples of the same kind, not for ..."
 * ```
 */
export function scopeOf(result: CompareResult): string {
  expectResult("compare", result, ["difference.best"]);
  const { best } = result.difference;
  const [kind, missing] = hasSamples(best) ? [" of the same kind", ""] : ["", "other test samples, "];
  return `Intervals are for ${chanceIn(best)}${kind}, not for ${missing}another teacher, data set, split or setting.`;
}

/**
 * What has to be known beside {@link compareSummary}, one sentence each: if best epoch, last epoch and validation set
 * contradict each other, and what the interval does not cover.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for what is no result of `compare`.
 * @example
 * ```ts
 * for (const sentence of compareCaveats(result)) console.log(sentence);
 * ```
 */
export function compareCaveats(result: CompareResult): string[] {
  expectResult("compare", result, ["seeds", "difference.best", "difference.last", "difference.validation"]);
  const { data, difference, seeds } = result;
  const { best, last, validation } = difference;
  const [metric] = metricsOf(data);
  if (seeds.length < 2) return [];
  const lines: string[] = [];
  if (best.distinguishable !== last.distinguishable || (best.distinguishable && best.mean * last.mean < 0)) {
    lines.push(
      "Best and last epoch give different answers: the evidence depends on which weights are taken, so it is weak.",
    );
  }
  if (best.mean * validation.mean < 0) {
    const against = `${showSigned(metric, validation.mean)}${unitOf(metric)}, p ${validation.pValue.toPrecision(2)}`;
    lines.push(`On the validation set, which chose the epochs, the difference is the other way round (${against}).`);
  }
  return [...lines, scopeOf(result)];
}

/**
 * The calibration error of teacher, baseline and distilled students on the test set, before and after temperature
 * scaling, in one sentence; null for another task than classification.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for what is no result of `compare`.
 * @example
 * ```ts
 * console.log(calibrationSummary(result)); // "Calibration error on the test set, before and after ..."
 * ```
 */
export function calibrationSummary(result: CompareResult): string | null {
  expectResult("compare", result, ["changes", "methods"]);
  const { changes, methods } = result;
  if (changes === null) return null;
  const shown = (x: number) => showMetric({ kind: "fraction" }, x);
  const parts = (["teacher", "baseline", "distilled"] as const).flatMap((name) => {
    const of = changes.calibration[name];
    if (of === null) return [];
    const who = name === "distilled" && methods.length > 1 ? methods[0].name : name;
    const scaled = of.scaledError === null ? " (no temperature fits)" : ` -> ${shown(of.scaledError.mean)}`;
    return [`${who} ${shown(of.error.mean)}${scaled}`];
  });
  const what = "Calibration error on the test set, before and after temperature scaling (fitted on the validation set)";
  return `${what}: ${parts.join(", ")}.`;
}

/**
 * What a comparison of several methods finds, in one sentence each: its difference to the baseline, then those of
 * methods to each other, and whether that is distinguishable from chance after Holm's correction.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for what is no result of `compare`.
 * @example
 * ```ts
 * for (const sentence of methodsSummary(result)) console.log(sentence);
 * ```
 */
export function methodsSummary(result: CompareResult): string[] {
  expectResult("compare", result, ["seeds", "methods"]);
  const { methods } = result;
  const ofBaseline = methods.map((method) => {
    const compared = { against: "the baseline", among: methods.length, what: "methods", difference: method.difference };
    return `${differenceSentence(result, method, compared)}.`;
  });
  return [...ofBaseline, ...pairsSummary(result)];
}

/**
 * What each method has more than the first one or, with a calibrated teacher, than the same loss without, in one
 * sentence each.
 */
export function pairsSummary(result: CompareResult): string[] {
  const { data, methods } = result;
  const [, ...others] = metricsOf(data);
  const ofOthers = (differences: Record<string, PairedDifference>) =>
    others.flatMap((other) => {
      const { mean, low, high } = differences[other.name] ?? { low: Number.NaN };
      if (!Number.isFinite(low)) return [];
      return [`${other.label} ${showSigned(other, mean)} (${showChange(other, low)} to ${showChange(other, high)})`];
    });
  const families = (["againstFirst", "againstUncalibrated"] as const).map((name) =>
    methods.flatMap((method) => (method[name] === null ? [] : [{ method, difference: method[name] }])),
  );
  return families.flatMap((family, i) =>
    family.map(({ method, difference }) => {
      const [against, what] = i === 0 ? [methods[0].name, "methods"] : [`${method.loss}, teacher as it is`, "losses"];
      const sentence = differenceSentence(result, method, { against, among: family.length, what, difference });
      const beside = ofOthers(difference.others);
      return `${sentence}.${beside.length === 0 ? "" : ` Over the seeds: ${beside.join(", ")}.`}`;
    }),
  );
}

/** The difference of a method to another one, without the full stop. */
function differenceSentence(
  { data, seeds }: CompareResult,
  { name }: Method,
  {
    against,
    among,
    what,
    difference,
  }: { against: string; among: number; what: string; difference: Method["difference"] },
): string {
  const [metric] = metricsOf(data);
  const { mean, low, high, confidence, correctedPValue, significant, distinguishable } = difference.best;
  const of = metric.kind === "fraction" ? " of" : "";
  const change = `${name}: ${showSigned(metric, mean)}${unitOf(metric)}${of} test ${metric.label} against ${against}`;
  if (!Number.isFinite(low)) return `${change} (${seeds.length < 2 ? "1 seed" : "all seeds alike"}): give more seeds`;
  const interval = `${percent(confidence)}% interval ${showChange(metric, low)} to ${showChange(metric, high)}`;
  const correction = among < 2 ? "" : ` corrected for ${among} ${what}`;
  const but = [
    distinguishable && !significant
      ? `its own interval leaves 0 out, as one of ${among} would more often than ${percent(1 - confidence)} times in 100 by chance`
      : "",
    significant && !difference.last.significant ? "at the last epoch it is not" : "",
  ].filter((text) => text !== "");
  const sure = [`${significant ? "" : "not "}distinguishable from chance`, ...but].join("; ");
  return `${change} (${interval}, p ${correctedPValue.toPrecision(2)}${correction}): ${sure}`;
}

/**
 * What a sweep finds, in one sentence; with several seeds by their mean, with the standard deviation.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for what is no result of `sweep`.
 * @example
 * ```ts
 * console.log(sweepSummary(swept));
 * ```
 */
export function sweepSummary(result: SweepResult): string {
  expectResult("sweep", result, ["best"]);
  const { data, best, seeds = [] } = result;
  const { evaluation, spread, test } = best;
  const [metric] = metricsOf(data);
  const value = best[epochKey(metric)];
  const around = (stats: SampleStats | undefined) => (stats === undefined ? "" : ` ± ${showChange(metric, stats.std)}`);
  const ofTest = test?.[metric.name];
  const figures = [
    `${shown(metric, value)}${around(spread?.figure)} on the validation set`,
    `${shown(metric, ofTest?.mean ?? metric.of(evaluation) ?? 0)}${around(ofTest)} on the test set`,
  ].join(", ");
  const over = spread === undefined ? "" : ` (mean and sd of ${seeds.length} seeds)`;
  return `Best with ${sweptIn(result)
    .map((name) => `${name} ${best[name]}`)
    .join(" and ")}: ${figures}${over}.`;
}

/**
 * What has to be known beside {@link sweepSummary}, one sentence each: whether the best point can be told from the
 * others.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for what is no result of `sweep`.
 * @example
 * ```ts
 * for (const sentence of sweepCaveats(swept)) console.log(sentence);
 * ```
 */
export function sweepCaveats(result: SweepResult): string[] {
  expectResult("sweep", result, ["seeds", "points"]);
  const { data, points, seeds } = result;
  if (points.length < 2) return [];
  if (seeds.length < 2) return ["1 seed can't tell its lead from chance; give more seeds."];
  const [metric] = metricsOf(data);
  const { ahead, others } = countLeads(points, metric);
  const which = (count: number) => (others === 1 ? "the other point" : `${count} of the ${others} other points`);
  const about = `paired over ${seeds.length} seeds, p corrected for ${others} ${others === 1 ? "point" : "points"}`;
  const luck =
    "Of several points the best one is also the luckiest: its own figure on the validation set is too high by that.";
  if (ahead === others) return [`Its lead is distinguishable from chance against ${which(others)} (${about}).`, luck];
  const [sure, not] = [
    `distinguishable from chance against ${which(ahead)}`,
    `not distinguishable against ${which(others - ahead)}`,
  ];
  const none = `not distinguishable from chance against ${others === 1 ? "the other point" : `any of the ${others} other points`}`;
  const text = ahead === 0 ? none : `${sure}, ${not}`;
  return [`Its lead is ${text} (${about}).`, luck];
}

/** How many other points the chosen one leads beyond chance, and how many there are. */
function countLeads(points: SweepResult["points"], metric: Metric): { ahead: number; others: number } {
  const leads = points.flatMap(({ spread }) => (spread?.lead ? [spread.lead] : []));
  const ahead = leads.filter(({ significant, mean }) => significant && isBetter(metric, mean, 0)).length;
  return { ahead, others: leads.length };
}

/** Accuracy goes without saying. */
function shown(metric: Metric, value: number): string {
  return metric.name === "accuracy" ? showMetric(metric, value) : `${metric.label} ${showMetric(metric, value)}`;
}

function percent(share: number): string {
  return String(Number((100 * share).toFixed(1)));
}
