import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { networkFrom } from "../models/create_network.js";
import type { Module } from "../nn/module.js";
import { type BestWeights, type Evaluation, evaluate, type RunResult } from "../train/index.js";
import { type Printer, percent } from "./printer.js";
import type { Source } from "./setup.js";

/** A run that has come to its end. */
export interface Ended {
  /** What was trained, with its last weights: `student` or `teacher`, and its file. */
  role: "student" | "teacher";
  network: Module;
  /** Of a distillation. */
  teacher?: Module;
  result: RunResult;
  source: Source;
  out: string;
  report: boolean;
}

/**
 * Reads the test set, once: how the network does with its last and its best weights. Writes the report, and prints all
 * that, the files' names also where the report can't be written.
 */
export async function printEnd(printer: Printer, ended: Ended): Promise<void> {
  const { role, network, teacher, result, source } = ended;
  const { history, files, best, stoppedEarly } = result;
  const look = (model: typeof network) => source.test && evaluate(model, source.test, teacher && { teacher });
  const evaluation = look(network);
  // The same weights where the last epoch is the best.
  const isLast = best?.epoch === history.at(-1)?.epoch;
  const bestEvaluation = isLast ? evaluation : best && look(networkFrom(best.state));
  const [last, , bestFile] = files;
  const lines = [`${role === "student" ? "Student" : "Teacher"} saved to ${last}`];
  if (best !== null) lines.push(`Best epoch: ${bestText(best, ended.result)}, saved to ${bestFile}`);
  if (evaluation) lines.push(`Test accuracy: ${figures(role, evaluation)}`);
  if (bestEvaluation && !isLast) lines.push(`Test accuracy, best epoch: ${figures(role, bestEvaluation)}`);
  let report: string | null = null;
  try {
    if (ended.report) report = await writeRunReport(ended);
    if (report !== null) lines.push(`Report: ${report}`);
  } finally {
    const told = best && { epoch: best.epoch, validationAccuracy: best.validationAccuracy, evaluation: bestEvaluation };
    printer.end({ loss: history.at(-1)?.metrics.loss, files, evaluation, best: told, stoppedEarly, report }, lines);
  }
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

async function writeRunReport({ network, teacher, result, source, out }: Ended): Promise<string> {
  // Only here: a run starts without it.
  const { runReport, writeReport } = await import("../report/index.js");
  const { history, best } = result;
  const config = JSON.parse(await readFile(join(out, "config.json"), "utf8")) as Record<string, unknown>;
  const file = join(out, "report.html");
  const report = runReport({
    config,
    history,
    networks: { student: network, ...(teacher && { teacher }), best },
    data: { test: source.test, validation: source.validation },
    command: commandLine(),
  });
  await writeReport(file, report);
  return file;
}

/** The command as a shell reads it again. */
export function commandLine(): string {
  const quoted = (text: string) => (/^[\w./=,:@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
  return ["distillery", ...process.argv.slice(2).map(quoted)].join(" ");
}
