import { countTestEvaluation } from "../checkpoint/index.js";
import type { Dataset } from "../data/index.js";
import type { Metrics } from "../log/index.js";
import type { Overlap } from "../models/overlap.js";
import type { Module } from "../nn/module.js";
import { shellQuoted } from "../shell_quoted.js";
import type { TaskEvaluation } from "../tasks/evaluation.js";
import {
  agreementOf,
  epochKey,
  type Metric,
  mainMetric,
  metricOfKey,
  metricsOf,
  showMetric,
  teachersMetric,
  testKey,
} from "../tasks/metrics.js";
import { evaluateRun, type RunEvaluation } from "../train/evaluate_run.js";
import type { BestWeights, RunResult } from "../train/index.js";
import { metricsOfEpoch } from "../train/trainer_state.js";
import type { RunPrinter } from "./printer.js";
import type { Source } from "./source.js";
import type { ExpectGoing } from "./stoppable_run.js";

/** A run that has ended. */
interface FinishedRun {
  /** The role of `network`, which was trained and has its last weights. */
  role: "student" | "teacher";
  network: Module;
  /** The teacher of a distillation; null if it is not a network of Distillery's. */
  teacher?: Module | null;
  /** The test samples that the teacher was trained on. */
  overlap?: Overlap | null;
  result: RunResult;
  source: Source;
  out: string;
  report: boolean;
  expectGoing: ExpectGoing;
}

/** The student, or teacher, of a run. */
export interface RunSummary {
  /** Its `.safetensors` file: of the best epoch on the validation set or, without one, of the last epoch. */
  file: string;
  parameters: number;
  /** How often runs in its folder were evaluated on the test set; null without one. */
  testEvaluations: number | null;
  /**
   * The task's metrics: `validationAccuracy` and the like, null without a validation set; and `testAccuracy` with the
   * weights of that file, null without a test set.
   */
  [metric: `validation${string}` | `test${string}`]: number | null;
}

/**
 * Evaluates the network with its last and its best weights on the test set, writes the report, and prints the results.
 * The file names are printed even if the report can't be written.
 */
export async function summarizeRun(printer: RunPrinter, run: FinishedRun): Promise<RunSummary> {
  const { role, network, teacher, overlap, result, source } = run;
  const { history, files, best, stoppedEarly } = result;
  const networks = { student: network, teacher: teacher ?? undefined, best };
  const onTest = source.test && evaluateRun(networks, source.test, printer.controls.onWork);
  const evaluation = onTest?.last.evaluation ?? null;
  const bestEvaluation = onTest?.best?.evaluation ?? null;
  const isLast = onTest?.best === onTest?.last;
  const [last, , bestFile] = files;
  const lines = [`${role === "student" ? "Student" : "Teacher"} saved to ${last}`];
  if (best !== null) lines.push(`Best epoch: ${bestText(best, result)}, saved to ${bestFile}`);
  if (overlap) lines.push(overlap.text);
  const [metric] = metricsOf(source.test ?? source.train());
  const shown = (of: TaskEvaluation) => figuresText(role, of, source.test);
  if (evaluation) lines.push(`Test ${metric.label}: ${shown(evaluation)}`);
  if (bestEvaluation && !isLast) lines.push(`Test ${metric.label}, best epoch: ${shown(bestEvaluation)}`);
  if (source.test && teacher === null) {
    lines.push(
      "The teacher is no network of Distillery's and is not asked about the test set: compare tests one that knows it.",
    );
  }
  const testEvaluations = source.test && (await countTestEvaluation(run.out, source.test.fingerprint()));
  if (testEvaluations !== null) lines.push(testEvaluationsText(testEvaluations, best !== null));
  let report: string | null = null;
  try {
    if (run.report) {
      await run.expectGoing("the report");
      report = await writeReportOf(run, onTest);
    }
    if (report !== null) lines.push(`Report: ${report}`);
  } finally {
    const summary = best && { epoch: best.epoch, ...chosenBy(best), evaluation: bestEvaluation };
    const { loss } = history.at(-1)?.metrics ?? {};
    printer.end(
      {
        loss,
        files,
        evaluation,
        best: summary,
        stoppedEarly,
        ...(testEvaluations !== null && { testEvaluations }),
        report,
        ...(overlap && { teacherTrainedOn: overlap.count }),
      },
      lines,
    );
  }
  const ofValidation: Record<`validation${string}`, number | null> = {
    [epochKey(metric)]: best?.[epochKey(metric)] ?? null,
  };
  const ofTest: Record<`test${string}`, number | null> = {
    [testKey(metric)]: evaluation && (metric.of(bestEvaluation ?? evaluation) ?? null),
  };
  return {
    file: files.filter((file) => file.endsWith(".safetensors")).at(-1) as string,
    parameters: network.parameterCount(),
    testEvaluations,
    ...ofValidation,
    ...ofTest,
  };
}

/** What test metrics are for, and how often the test set was evaluated. */
export function testEvaluationsText(looks: number, isValidated: boolean): string {
  const by = isValidated ? "choose by the validation set" : "choose by a validation set (--validation 0.1)";
  const often = looks === 1 ? "" : `; runs in this folder looked at it ${looks} times`;
  return `The test set is for the end: ${by}${often}.`;
}

/** The validation metric that the best epoch was chosen by, under its name in an epoch's record. */
function chosenBy(best: BestWeights): Metrics {
  const { validationLoss: _, ...figures } = metricsOfEpoch(best);
  return figures;
}

function bestText(best: BestWeights, { history, stoppedEarly }: RunResult): string {
  const { epoch } = best;
  const [[name, value]] = Object.entries(chosenBy(best));
  const metric = metricOfKey(name) as Metric;
  const what = metric.name === "accuracy" ? "" : `${metric.label} `;
  const early = stoppedEarly ? ` (stopped early: none better in ${history.length - epoch})` : "";
  return `${epoch} of ${history.length}${early}, ${what}${showMetric(metric, value)} on the validation set`;
}

function figuresText(role: string, evaluation: TaskEvaluation, data: Dataset | null): string {
  const [[metric], agreement] = [metricsOf(data ?? undefined), agreementOf(data ?? undefined)];
  const own = `${role} ${showMetric(metric, mainMetric(data ?? undefined, evaluation))}`;
  const [teacher, agreed] = [teachersMetric(data ?? undefined, evaluation), agreement.of(evaluation)];
  if (teacher === undefined || agreed === undefined) return own;
  return `${own}, teacher ${showMetric(metric, teacher)}, agreement ${showMetric(agreement, agreed)}`;
}

/** Writes the report of a run into its folder; returns the file. */
export async function writeReportOf(
  run: Pick<FinishedRun, "network" | "teacher" | "source" | "out"> & {
    result: Pick<RunResult, "history" | "steps" | "best">;
  },
  evaluation: RunEvaluation | null,
): Promise<string> {
  const { network, teacher, result, source, out } = run;
  const { writeRunReport } = await import("../report/runs.js");
  return writeRunReport(out, {
    history: result.history,
    steps: result.steps,
    networks: { student: network, teacher: teacher ?? undefined, best: result.best },
    data: { test: source.test, validation: source.validation },
    evaluation: evaluation ?? undefined,
    command: commandLine(),
  });
}

/** The command that repeats the run, quoted for a shell. */
export function commandLine(): string {
  const args = process.argv.slice(2).filter((argument) => argument !== "--collect");
  return ["distillery", ...args.map(shellQuoted)].join(" ");
}
