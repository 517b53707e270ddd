import type { Overlap } from "../models/overlap.js";
import type { Module } from "../nn/module.js";
import { shellQuoted } from "../shell_quoted.js";
import { evaluateRun, type RunEvaluation } from "../train/evaluate_run.js";
import type { BestWeights, Evaluation, RunResult } from "../train/index.js";
import { type Printer, percent } from "./printer.js";
import type { Source } from "./setup.js";

/** A run that has ended. */
interface FinishedRun {
  /** What was trained, with its last weights: `student` or `teacher`, and its network. */
  role: "student" | "teacher";
  network: Module;
  /** The teacher of a distillation. */
  teacher?: Module;
  /** The test samples that the teacher was trained on. */
  overlap?: Overlap | null;
  result: RunResult;
  source: Source;
  out: string;
  report: boolean;
}

/** The student, or teacher, of a run. */
export interface RunSummary {
  /** Its `.safetensors` file: of the best epoch on the validation set or, without one, of the last. */
  file: string;
  parameters: number;
  validationAccuracy: number | null;
  /** With the weights of that file; null without a test set. */
  testAccuracy: number | null;
}

/**
 * Evaluates the network with its last and its best weights on the test set, writes the report, and prints all that; the
 * files' names also if the report can't be written.
 */
export async function summarizeRun(printer: Printer, run: FinishedRun): Promise<RunSummary> {
  const { role, network, teacher, overlap, result, source } = run;
  const { history, files, best, stoppedEarly } = result;
  const onTest = source.test && evaluateRun({ student: network, teacher, best }, source.test);
  const evaluation = onTest?.last.evaluation ?? null;
  const bestEvaluation = onTest?.best?.evaluation ?? null;
  const isLast = onTest?.best === onTest?.last;
  const [last, , bestFile] = files;
  const lines = [`${role === "student" ? "Student" : "Teacher"} saved to ${last}`];
  if (best !== null) lines.push(`Best epoch: ${bestText(best, result)}, saved to ${bestFile}`);
  if (overlap) lines.push(overlap.text);
  if (evaluation) lines.push(`Test accuracy: ${figures(role, evaluation)}`);
  if (bestEvaluation && !isLast) lines.push(`Test accuracy, best epoch: ${figures(role, bestEvaluation)}`);
  let report: string | null = null;
  try {
    if (run.report) report = await writeReportOf(run, onTest);
    if (report !== null) lines.push(`Report: ${report}`);
  } finally {
    const summary = best && {
      ...{ epoch: best.epoch, validationAccuracy: best.validationAccuracy, evaluation: bestEvaluation },
    };
    const { loss } = history.at(-1)?.metrics ?? {};
    printer.end(
      {
        loss,
        files,
        evaluation,
        best: summary,
        stoppedEarly,
        report,
        ...(overlap && { teacherTrainedOn: overlap.count }),
      },
      lines,
    );
  }
  return {
    file: files.filter((file) => file.endsWith(".safetensors")).at(-1) as string,
    parameters: network.parameterCount(),
    validationAccuracy: best?.validationAccuracy ?? null,
    testAccuracy: (bestEvaluation ?? evaluation)?.accuracy ?? null,
  };
}

function bestText({ epoch, validationAccuracy }: BestWeights, { history, stoppedEarly }: RunResult): string {
  const early = stoppedEarly ? ` (stopped early: none better in ${history.length - epoch})` : "";
  return `${epoch} of ${history.length}${early}, ${percent(validationAccuracy)} on the validation set`;
}

function figures(role: string, { accuracy, teacherAccuracy, agreement }: Evaluation): string {
  const own = `${role} ${percent(accuracy)}`;
  if (teacherAccuracy === undefined || agreement === undefined) return own;
  return `${own}, teacher ${percent(teacherAccuracy)}, agreement ${percent(agreement)}`;
}

/** Writes the report of a run into its folder; gives its file. */
export async function writeReportOf(
  run: Pick<FinishedRun, "network" | "teacher" | "source" | "out"> & { result: Pick<RunResult, "history" | "best"> },
  evaluation: RunEvaluation | null,
): Promise<string> {
  const { network, teacher, result, source, out } = run;
  const { writeRunReport } = await import("../report/runs.js");
  return writeRunReport(out, {
    history: result.history,
    networks: { student: network, ...(teacher && { teacher }), best: result.best },
    data: { test: source.test, validation: source.validation },
    ...(evaluation && { evaluation }),
    command: commandLine(),
  });
}

/** The command, quoted for a shell. */
export function commandLine(): string {
  return ["distillery", ...process.argv.slice(2).map(shellQuoted)].join(" ");
}
