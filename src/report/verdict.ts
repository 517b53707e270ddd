import { chanceIn } from "../compare/chance_in.js";
import type { CompareResult, Method, StudentMetrics, SweepResult } from "../compare/results.js";
import type { SampleStats } from "../compare/statistics.js";
import { compareCaveats, pairsSummary, scopeOf, sweepCaveats, sweepSummary } from "../compare/summary.js";
import { sweptIn } from "../compare/swept_in.js";
import { capitalized, showCount, showPercent } from "../show.js";
import {
  agreementOf,
  epochKey,
  isBetter,
  type Metric,
  mainMetric,
  metricsOf,
  showChange,
  showMetric,
  teachersMetric,
  unitOf,
} from "../tasks/metrics.js";
import type { RunReport, Verdict } from "./report_data.js";
import { isSamePoint, samplingMargin } from "./sweep_points.js";
import { changeOf, counted, fewer, pValue, short, times, withMinusSigns } from "./text.js";

/**
 * Whether distilling helped, by how much, and how certain that is. Compares the weights that were best on the
 * validation set, with an interval that accounts for other seeds and other test samples.
 *
 * @example
 * ```ts
 * compareVerdict(result).headline; // "Yes: distilling raised test accuracy by 0.55 points"
 * ```
 */
export function compareVerdict(result: CompareResult): Verdict {
  const { difference, distilled, baseline, teacher, data, seeds, methods } = result;
  if (methods.length > 1) return methodsVerdict(result);
  const { mean, low, high, confidence, pValue: p, distinguishable } = difference.best;
  const [metric] = metricsOf(data);
  const of = ({ best }: StudentMetrics) => spread(metric, best[metric.name]);
  const accuracies = `${[
    `The distilled student ${gets(metric, of(distilled), `${showCount(data.test)} test samples`)}`,
    `the baseline student ${of(baseline)}`,
    ...ofTeacher({ data, teacher }),
  ].join(", ")}.`;
  const [change, unit] = [(x: number) => changeOf(metric, x), unitOf(metric)];
  if (!Number.isFinite(low) || !Number.isFinite(high)) {
    const [who, why] = untold(seeds);
    const headline = `${who} can't tell: test ${metric.label} changed by ${change(mean)}${unit}`;
    return { answer: "unclear", headline, detail: `${why} ${accuracies}` };
  }
  const interval = `${showPercent(confidence, 0)} interval ${change(low)} to ${change(high)}${unit}`;
  const detail = `${interval} for ${chanceIn(difference.best)}, ${counted(seeds.length, "seed")}, p ${pValue(p)}. ${accuracies}`;
  const caveats = compareCaveats(result);
  const { seeds: alone } = difference.best;
  if (!distinguishable && alone.pValue < 1 - confidence) {
    const range = `${change(alone.low)} to ${change(alone.high)}${unit}`;
    caveats.unshift(
      `With these test samples the difference holds for other seeds (${range}); with other samples it may not.`,
    );
  }
  if (!distinguishable) {
    const headline = `Not distinguishable from chance: test ${metric.label} changed by ${change(mean)}${unit}`;
    return { answer: "unclear", headline, detail, caveats };
  }
  const by = `test ${metric.label} by ${showChange(metric, Math.abs(mean))}${unit}`;
  return isBetter(metric, mean, 0)
    ? { answer: "yes", headline: `Yes: distilling ${went(mean)} ${by}`, detail, caveats }
    : { answer: "no", headline: `No: distilling ${went(mean)} ${by}`, detail, caveats };
}

/** What is said of chance if there is no interval: about whom, and why. */
function untold(seeds: readonly number[]): readonly [who: string, why: string] {
  return seeds.length < 2
    ? ["One seed", "What one seed gives may be chance; with several there is an interval."]
    : ["Seeds that are all alike", "They do not show how far chance reaches; more seeds may."];
}

/** Which of several methods help, after correction for their number. */
function methodsVerdict(result: CompareResult): Verdict {
  const { methods, baseline, teacher, data, seeds } = result;
  const [metric] = metricsOf(data);
  const meanOf = ({ best }: Pick<Method, "best">) => best[metric.name].mean;
  const significant = methods.filter(({ difference: { best } }) => best.significant);
  const better = significant.filter(({ difference: { best } }) => isBetter(metric, best.mean, 0));
  const worse = significant.filter((method) => !better.includes(method));
  const [top] = [...methods].sort((a, b) => (isBetter(metric, meanOf(b), meanOf(a)) ? 1 : -1));
  const isUntold = methods.every(({ difference: { best } }) => !Number.isFinite(best.low));
  const [who, why] = untold(seeds);
  const detail = [
    isUntold
      ? why
      : `Each method against the baseline over ${counted(seeds.length, "seed")}, p values corrected for ${methods.length} methods (Holm).`,
    `The baseline student ${gets(metric, spread(metric, baseline.best[metric.name]), `${showCount(data.test)} test samples`)},`,
    `${[`${top.name} ${spread(metric, top.best[metric.name])}`, ...ofTeacher({ data, teacher })].join(", ")}.`,
  ].join(" ");
  const alone = methods.filter(({ difference: { best } }) => best.distinguishable && !best.significant);
  const last = significant.filter(({ difference }) => !difference.last.significant);
  const list = (some: typeof methods) => some.map(({ name }) => name).join(", ");
  const changes = (some: typeof methods) =>
    some
      .map(({ name, difference: { best } }) => `${name} (${changeOf(metric, best.mean)}${unitOf(metric)})`)
      .join("; ");
  const caveats = [
    better.length > 0 && worse.length > 0 && `Worse than the baseline: ${changes(worse)}.`,
    // The comparisons between methods: if there are two, and if a loss was also run with a calibrated teacher.
    ...(methods.length === 2 || methods.some(({ againstUncalibrated }) => againstUncalibrated)
      ? pairsSummary(result).map(withMinusSigns)
      : []),
    alone.length > 0 &&
      `By its own interval, ${list(alone)} differs too; by chance one of ${methods.length} would more often than it says.`,
    last.length > 0 && `At the last epoch ${list(last)} is not distinguishable from the baseline.`,
    !isUntold && scopeOf(result),
  ].filter((text) => typeof text === "string");
  if (better.length > 0) {
    return { answer: "yes", headline: `Better than the baseline: ${changes(better)}`, detail, caveats };
  }
  if (worse.length > 0) {
    return { answer: "no", headline: `Worse than the baseline: ${changes(worse)}`, detail, caveats };
  }
  if (isUntold) {
    return { answer: "unclear", headline: `${who} can't tell: ${changes(methods)}`, detail, caveats };
  }
  const none = methods.length === 2 ? "Neither method" : `None of ${methods.length} methods`;
  const headline = `${none} is distinguishable from the baseline`;
  return { answer: "unclear", headline, detail, caveats };
}

/** The best temperature and alpha, and how far apart two points have to be to mean something. */
export function sweepVerdict(result: SweepResult): Verdict {
  const { best, data, teacher, points: all } = result;
  const [metric] = metricsOf(data);
  const key = epochKey(metric);
  const shown = (value: number) => showMetric(metric, value);
  const chosen = sweptIn(result)
    .map((name) => `${name} ${best[name]}`)
    .join(" with ");
  const headline = `${capitalized(chosen)} does best: ${shown(best[key])} on the validation set`;
  const test = [
    `On the test set, read once at the end, it gets ${[shown(mainMetric(data, best.evaluation)), ...ofTeacher({ data, teacher })].join(", ")}.`,
  ];
  if (best.spread !== undefined) {
    const caveats = sweepCaveats(result);
    // No line break between a figure and its deviation.
    return { answer: null, headline, detail: sweepSummary(result).replaceAll(" ± ", "\u00a0±\u00a0"), caveats };
  }
  // The margin of chance is known only for fractions of samples.
  if (metric.name !== "accuracy") return { answer: null, headline, detail: test.join(" ") };
  const within = samplingMargin(best[key], data.validation);
  const others = all.filter((point) => !isSamePoint(point, best));
  const close = others.filter((point) => best[key] - point[key] < within).length;
  const chance = [
    `With ${showCount(data.validation)} validation samples less than ${(100 * within).toFixed(2)} points may be chance:`,
    `${closePoints(close, others.length)} as close.`,
  ];
  return { answer: null, headline, detail: [...test, ...chance].join(" ") };
}

/** The teacher's figure, if it knows the test set. */
function ofTeacher({ data, teacher }: Pick<SweepResult, "data" | "teacher">): string[] {
  const { evaluation } = teacher;
  return evaluation === null ? [] : [`the teacher ${showMetric(metricsOf(data)[0], mainMetric(data, evaluation))}`];
}

function closePoints(close: number, others: number): string {
  if (close === 0) return "no other point is";
  if (close === others) return close === 1 ? "the other point is" : `all ${showCount(others)} other points are`;
  return `${showCount(close)} of the ${showCount(others)} other points ${close === 1 ? "is" : "are"}`;
}

/** How well a run's network classifies; without held-out data, how its loss went. */
export function runVerdict(run: Omit<RunReport, "verdict">): Verdict {
  const { predictions, lastMetric, best, history, sizes, config } = run;
  if (predictions === null) return lossVerdict(history);
  const { evaluation, part, weights } = predictions;
  const [[metric], agreement] = [metricsOf(run), agreementOf(run)];
  const shown = (value: number) => showMetric(metric, value);
  const detail: string[] = [];
  const agreed = agreement.of(evaluation);
  const ofTeacher = teachersMetric(run, evaluation);
  if (ofTeacher !== undefined && agreed !== undefined) {
    const alike =
      metric.name === "accuracy"
        ? `they agree on ${showPercent(agreed)} of them`
        : `${agreement.label} ${showMetric(agreement, agreed)}`;
    detail.push(`Its teacher gets ${shown(ofTeacher)}; ${alike}.`);
  }
  if (sizes.teacher !== undefined) {
    const ratio = sizes.teacher.parameters / sizes.student.parameters;
    detail.push(`The student has ${fewer(ratio)} parameters${speed(sizes)}.`);
  }
  if (weights === "best" && best !== null) {
    const epochs = history.at(-1)?.epoch ?? best.epoch;
    const last = best.epoch === epochs || lastMetric === null ? "" : `; those of the last get ${shown(lastMetric)}`;
    detail.push(`The weights are those of epoch ${best.epoch} of ${epochs}, best on the validation set${last}.`);
  }
  const name = NAMES[String(config.command)] ?? "The student";
  const held = `${showCount(evaluation.samples)} ${part} samples`;
  const headline = `${name} ${gets(metric, shown(mainMetric(run, evaluation)), held)}`;
  return { answer: null, headline, detail: detail.join(" ") };
}

/** What a run trains by its command. */
const NAMES: Readonly<Record<string, string | undefined>> = {
  "train-teacher": "The teacher",
  mutual: "The mean of the students",
};

function lossVerdict(history: RunReport["history"]): Verdict {
  const [first, last] = [history[0], history.at(-1)];
  const detail = "Without held-out data there is no accuracy to tell.";
  if (first === undefined || last === undefined) return { answer: null, headline: "No epoch was trained", detail };
  const [from, to] = [first.metrics.loss, last.metrics.loss];
  const went = to < from ? "fell" : "went";
  const headline = `The loss ${went} from ${short(from)} to ${short(to)} in ${counted(last.epoch, "epoch")}`;
  return { answer: null, headline, detail };
}

function speed({ student, teacher }: RunReport["sizes"]): string {
  if (student.latencyMs === undefined || teacher?.latencyMs === undefined) return "";
  return ` and runs ${times(teacher.latencyMs / student.latencyMs)} times as fast`;
}

/** `gets 90.18% of 1,000 test samples right`, `has an R2 of 0.4523 on 89 test samples`. */
function gets({ name, label }: Metric, value: string, samples: string): string {
  if (name === "accuracy") return `gets ${value} of ${samples} right`;
  return `has ${/^[aR]\d?/.test(label) ? "an" : "a"} ${label} of ${value} on ${samples}`;
}

function went(change: number): string {
  return change > 0 ? "raised" : "lowered";
}

function spread(metric: Metric, { mean, std, values }: SampleStats): string {
  const shown = showMetric(metric, mean);
  return values.length < 2 ? shown : `${shown}\u00a0\u00b1\u00a0${showChange(metric, std)}`;
}
