import type { CompareResult, SweepResult } from "../compare/results.js";
import type { SampleStats } from "../compare/statistics.js";
import type { RunReport, Verdict } from "./report_data.js";
import { count, counted, percent, points, pValue, short, times } from "./text.js";

/**
 * Did distilling help, by how much, how sure: the difference with the weights that were best on the validation set.
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
  const accuracies = [
    `The distilled student gets ${spread(distilled.best.accuracy)} of ${count(data.test)} test samples right`,
    `the baseline student ${spread(baseline.best.accuracy)}`,
    `the teacher ${percent(teacher.evaluation.accuracy)}.`,
  ].join(", ");
  if (!Number.isFinite(low) || !Number.isFinite(high)) {
    const [who, why] =
      seeds.length < 2
        ? ["One seed", "What one seed gives may be chance; with several there is an interval."]
        : ["Seeds that are all alike", "They do not show how far chance reaches; more seeds may."];
    const headline = `${who} can't tell: test accuracy changed by ${points(mean)} points`;
    return { answer: "unclear", headline, detail: `${why} ${accuracies}` };
  }
  const interval = `${percent(confidence, 0)} interval ${points(low)} to ${points(high)} points`;
  const detail = `${interval}, ${counted(seeds.length, "seed")}, p ${pValue(p)}. ${accuracies}`;
  if (!distinguishable) {
    const headline = `Not distinguishable from chance: test accuracy changed by ${points(mean)} points`;
    return { answer: "unclear", headline, detail };
  }
  const by = `test accuracy by ${Math.abs(100 * mean).toFixed(2)} points`;
  return mean > 0
    ? { answer: "yes", headline: `Yes: distilling raised ${by}`, detail }
    : { answer: "no", headline: `No: distilling lowered ${by}`, detail };
}

/** Which of several losses help, after correction for their number. */
function methodsVerdict({ methods, baseline, teacher, data, seeds }: CompareResult): Verdict {
  const better = methods.filter(({ difference: { best } }) => best.significant && best.mean > 0);
  const [top] = [...methods].sort((a, b) => b.best.accuracy.mean - a.best.accuracy.mean);
  const detail = [
    `Each loss against the baseline over ${counted(seeds.length, "seed")}, p values corrected for ${methods.length} losses (Holm).`,
    `The baseline student gets ${spread(baseline.best.accuracy)} of ${count(data.test)} test samples right,`,
    `${top.loss} ${spread(top.best.accuracy)}, the teacher ${percent(teacher.evaluation.accuracy)}.`,
  ].join(" ");
  if (better.length === 0) {
    return {
      answer: "unclear",
      headline: `None of ${methods.length} losses is distinguishable from the baseline`,
      detail,
    };
  }
  const names = better.map(({ loss, difference: { best } }) => `${loss} (${points(best.mean)} points)`).join(", ");
  return { answer: "yes", headline: `Better than the baseline: ${names}`, detail };
}

/** The best temperature and alpha, and how far apart two points have to be to mean something. */
export function sweepVerdict({ best, data, teacher, points: all }: SweepResult): Verdict {
  const { temperature, alpha, validationAccuracy } = best;
  const within = samplingMargin(validationAccuracy, data.validation);
  const close = all.filter((point) => validationAccuracy - point.validationAccuracy < within).length - 1;
  const apart = `${(100 * within).toFixed(2)} points`;
  return {
    answer: null,
    headline: `Temperature ${temperature} with alpha ${alpha} does best: ${percent(validationAccuracy)} on the validation set`,
    detail: [
      `On the test set, read once at the end, it gets ${percent(best.evaluation.accuracy)},`,
      `the teacher ${percent(teacher.evaluation.accuracy)}.`,
      `With ${count(data.validation)} validation samples less than ${apart} may be chance:`,
      `${closePoints(close, all.length - 1)} as close.`,
    ].join(" "),
  };
}

function closePoints(close: number, others: number): string {
  if (close === 0) return "no other point is";
  if (close === others) return close === 1 ? "the other point is" : `all ${count(others)} other points are`;
  return `${count(close)} of the ${count(others)} other points ${close === 1 ? "is" : "are"}`;
}

/** How well a run's network classifies; without held-out data, how its loss went. */
export function runVerdict(run: Omit<RunReport, "verdict">): Verdict {
  const { predictions, lastAccuracy, best, history, sizes, config } = run;
  if (predictions === null) return lossVerdict(history);
  const { evaluation, part, weights } = predictions;
  const { accuracy, samples, teacherAccuracy, agreement } = evaluation;
  const detail: string[] = [];
  if (teacherAccuracy !== undefined && agreement !== undefined) {
    detail.push(`Its teacher gets ${percent(teacherAccuracy)}; they agree on ${percent(agreement)} of them.`);
  }
  if (sizes.teacher !== undefined) {
    const fewer = times(sizes.teacher.parameters / sizes.student.parameters);
    detail.push(`The student has ${fewer} times fewer parameters${speed(sizes)}.`);
  }
  if (weights === "best" && best !== null) {
    const epochs = history.at(-1)?.epoch ?? best.epoch;
    const last =
      best.epoch === epochs || lastAccuracy === null ? "" : `; those of the last get ${percent(lastAccuracy)}`;
    detail.push(`The weights are those of epoch ${best.epoch} of ${epochs}, best on the validation set${last}.`);
  }
  const name = config.command === "train-teacher" ? "The teacher" : "The student";
  const headline = `${name} gets ${percent(accuracy)} of ${count(samples)} ${part} samples right`;
  return { answer: null, headline, detail: detail.join(" ") };
}

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

function spread({ mean, std, values }: SampleStats): string {
  return values.length < 2 ? percent(mean) : `${percent(mean)}\u00a0\u00b1\u00a0${(100 * std).toFixed(2)}`;
}

const TWO_SIDED_95 = 1.96;

/**
 * How far two accuracies near `accuracy`, each over `samples` samples, differ by chance alone: half the 95% interval of
 * the difference of two independent shares, 1.96 sqrt(2 p (1 - p) / n). On the same samples they differ by less.
 */
export function samplingMargin(accuracy: number, samples: number): number {
  return TWO_SIDED_95 * Math.sqrt((2 * accuracy * (1 - accuracy)) / samples);
}
