import { expectOptions } from "../checks.js";
import { expectResult } from "../compare/expect_result.js";
import type { CompareResult, StudentMetrics, SweepResult } from "../compare/results.js";
import type { Dataset } from "../data/index.js";
import type { TaskEvaluation } from "../tasks/evaluation.js";
import { isClassification } from "../tasks/metrics.js";
import { classNamesOf, headOf, type ReportOptions } from "./head.js";
import { mistakesIn, type Networks } from "./predictions.js";
import type { CompareReport, HeldOutPredictions, SweepReport } from "./report_data.js";
import { compareVerdict, sweepVerdict } from "./verdict.js";

/** What a report of several runs shows besides their metrics: the samples that one student gets wrong. */
export interface ReportExtras extends ReportOptions {
  /**
   * The first seed's distilled student of a comparison, or the best point's of a sweep, with the best epoch's weights.
   */
  networks?: Networks;
  /** The test set, on which the metrics were measured. */
  test?: Dataset;
}

const EXTRAS = ["networks", "test", "title", "command"] as const;
/** What a report reads of a result. */
const COMPARED = ["data", "config", "teacher", "seeds", "baseline.evaluations", "distilled.evaluations", "methods"];
const SWEPT = ["data", "config", "teacher", "seeds", "points", "best"];

/**
 * The data of a comparison's report: its metrics, and the predictions of the first seed's distilled student.
 *
 * @throws DistilleryError `BAD_ARGUMENT`, `SHAPE_MISMATCH` if a network does not fit the data.
 * @example
 * ```ts
 * await writeReport("report.html", compareReport(result, { networks: { student, teacher }, test }));
 * ```
 */
export function compareReport(result: CompareResult, extras: ReportExtras = {}): CompareReport {
  expectOptions("compareReport", extras, EXTRAS);
  expectResult("compare", result, COMPARED);
  const { config, ...figures } = result;
  const [evaluation] = result.distilled.evaluations;
  return {
    kind: "compare",
    ...commonOf(result, "Comparison", extras),
    verdict: compareVerdict(result),
    result: { ...figures, baseline: withoutConfusion(result.baseline), distilled: withoutConfusion(result.distilled) },
    predictions: predictionsOf(evaluation, result, extras),
  };
}

/**
 * The data of a sweep's report: all points, and the predictions of the best point's student.
 *
 * @throws DistilleryError `BAD_ARGUMENT`, `SHAPE_MISMATCH` if a network does not fit the data.
 * @example
 * ```ts
 * await writeReport("report.html", sweepReport(swept, { networks: { student, teacher }, test }));
 * ```
 */
export function sweepReport(result: SweepResult, extras: ReportExtras = {}): SweepReport {
  expectOptions("sweepReport", extras, EXTRAS);
  expectResult("sweep", result, SWEPT);
  const { config, ...figures } = result;
  return {
    kind: "sweep",
    ...commonOf(result, "Sweep", extras),
    verdict: sweepVerdict(result),
    result: figures,
    predictions: predictionsOf(result.best.evaluation, result, extras),
  };
}

function commonOf({ data, config }: CompareResult | SweepResult, what: string, extras: ReportExtras) {
  const { networks: _, test, ...options } = extras;
  const head = headOf(config, classNamesOf(data.classes, test?.classNames), `${what} on ${data.name}`, options);
  return { ...head, ...(data.task && { task: data.task }) };
}

function predictionsOf(
  evaluation: HeldOutPredictions["evaluation"] | undefined,
  { teacher }: CompareResult | SweepResult,
  { networks, test }: ReportExtras,
): HeldOutPredictions {
  return {
    part: "test",
    weights: "best",
    evaluation: evaluation as HeldOutPredictions["evaluation"],
    ...(teacher.evaluation && { teacher: teacher.evaluation }),
    mistakes: networks && test ? mistakesIn(networks, test) : [],
  };
}

/** Only one confusion matrix is shown: those of all seeds would make the file large. */
function withoutConfusion(figures: StudentMetrics): StudentMetrics {
  const without = (evaluation: TaskEvaluation) =>
    isClassification(evaluation) ? { ...evaluation, confusion: [] } : evaluation;
  return { ...figures, evaluations: figures.evaluations.map(without) };
}
