import { Command } from "commander";
import type { InferOutput } from "valibot";
import { inspectCheckpoint, openNetwork } from "../checkpoint/index.js";
import { evaluateSchema } from "../config/index.js";
import { AVERAGE_OPTIONS } from "../config/schemas.js";
import type { Dataset } from "../data/index.js";
import { printableInline } from "../log/index.js";
import { overlapOf } from "../models/overlap.js";
import { Module } from "../nn/module.js";
import { showBytes, showCount, showPercent } from "../show.js";
import type { TaskEvaluation } from "../tasks/evaluation.js";
import { evaluateOutputs, taskOf } from "../tasks/index.js";
import { isClassification, metricsOf, showMetric, targetTable, teachersMetric } from "../tasks/metrics.js";
import type { Teacher } from "../teachers/index.js";
import { allLogits } from "../teachers/logits_in_order.js";
import { teacherSchema } from "../teachers/options.js";
import { Tensor } from "../tensor/tensor.js";
import { type Evaluation, evaluate, logitsOf, measureLatency } from "../train/index.js";
import { errorBoundary, UsageError } from "./error_boundary.js";
import { evaluationData } from "./evaluation_data.js";
import { withoutTeacherColumn } from "./external_teacher.js";
import { flagOf } from "./flag_names.js";
import { TEACHER_TEXT } from "./flag_table.js";
import {
  addLoading,
  addNetwork,
  addOptions,
  addShowing,
  givenFlags,
  type LoadFlags,
  loadOptions,
  partOptions,
  type ShowFlags,
} from "./flags.js";
import { expectFits, type NetworkOptions, Networks } from "./networks.js";
import { optionsOf } from "./settings.js";
import { formatTable } from "./table.js";
import { print, printError, widthOf } from "./terminal.js";

interface EvaluateFlags extends ShowFlags, LoadFlags, Pick<NetworkOptions, "network" | "teacherNetwork"> {
  file: string;
}

/** `distillery evaluate FILE`. */
export function makeCommand(): Command {
  const command = new Command("evaluate").description(
    "measure accuracy (or another task's metrics), agreement with the teacher, metrics by class, latency and size",
  );
  command.argument("<file>", "the network's weights, .pth or .safetensors");
  addNetwork(addNetwork(command), "--teacher-network");
  return addLoading(
    addShowing(
      addOptions(command, evaluateSchema, { teacher: `${TEACHER_TEXT}: to compare with` }),
      "print a JSON object",
    ),
  ).action((file: string) => errorBoundary(runEvaluate)({ ...givenFlags(command), file }));
}

/** Evaluates a network on the test data, or on the reference script's data. */
async function runEvaluate(flags: EvaluateFlags): Promise<void> {
  const options = optionsOf(evaluateSchema, { ...flags });
  expectTeacher(options, { ...options, ...flags });
  const networks = await Networks.open(flags);
  const opened = await openNetwork(flags.file, loadOptions(flags));
  const { record } = opened;
  const own = record === null ? withoutTeacherColumn(options) : options;
  const { source, data, notes } = await evaluationData(flags.file, record, own, { ...flags });
  const model = networks.of(opened, "network", source.isSynthetic ? undefined : source.context.shape);
  if (record === null || source.isSynthetic) expectFits(flags.file, model, source);
  const teacher = await networks.teacherOf(options, flags, source);
  for (const network of teacher instanceof Module ? [model, teacher] : [model]) {
    const overlap = overlapOf(network, data, "the network");
    if (overlap !== null) notes.push(overlap.text);
  }
  for (const note of notes) printError(note);
  const evaluation =
    teacher === null || teacher instanceof Module
      ? evaluate<TaskEvaluation>(model, data, teacher ? { teacher } : {})
      : await evaluateAgainst(teacher, model, data);
  for (const note of taskOf(data).undefinedMetrics(data)) printError(note);
  const { bytes, parameters } = await inspectCheckpoint(flags.file, partOptions({ ...flags, quiet: true }));
  const latencyMs = measureLatency(model, data);
  if (flags.json) {
    print(JSON.stringify({ file: flags.file, data: data.name, parameters, bytes, latencyMs, ...evaluation }));
    return;
  }
  const size = `${showCount(parameters)} parameters, ${showBytes(bytes)}`;
  print(`${printableInline(flags.file)}: ${model.constructor.name}, ${size}`);
  print(`${printableInline(data.name)}: ${showCount(evaluation.samples)} samples\n`);
  if (isClassification(evaluation)) print(`${summary(evaluation, latencyMs)}\n\n${classTable(evaluation, data)}`);
  else {
    const perTarget = targetTable(data, evaluation, data.classNames ?? []);
    const isSeveral = perTarget !== null && perTarget.rows.length > 1;
    const tables = isSeveral ? [formatTable([["target", ...perTarget.columns], ...perTarget.rows])] : [];
    print([figureTable(evaluation, data, latencyMs), ...tables].join("\n\n"));
  }
}

/** Refuses teacher options that nothing would read. */
function expectTeacher({ teacher, teacherColumn }: Options, given: Readonly<Record<string, unknown>>): void {
  if (teacher !== undefined && teacherColumn !== undefined) {
    throw new UsageError("--teacher-column: --teacher is given too: leave one of the two out");
  }
  if (teacher !== undefined) return;
  const ofColumn = teacherColumn === undefined ? [] : ["teacherClasses"];
  const name = OF_FILES.find((option) => given[option] !== undefined && !ofColumn.includes(option));
  if (name !== undefined) throw new UsageError(`${flagOf(name, given[name])}: needs a teacher's file (--teacher)`);
}

type Options = InferOutput<typeof evaluateSchema>;
const OF_FILES = ["teacherNetwork", ...AVERAGE_OPTIONS, ...Object.keys(teacherSchema.entries)];

/** The metrics of another task than classification. */
function figureTable(evaluation: TaskEvaluation, data: Dataset, latencyMs: number): string {
  const rows = metricsOf(data).flatMap((metric) => {
    const value = metric.of(evaluation);
    return value === undefined ? [] : [[metric.label, showMetric(metric, value)]];
  });
  const [{ label, kind }] = metricsOf(data);
  const teacher = teachersMetric(data, evaluation);
  if (teacher !== undefined) rows.push([`teacher's ${label}`, showMetric({ kind }, teacher)]);
  return formatTable([
    ...rows,
    ["loss", evaluation.loss.toFixed(4)],
    ["latency at batch 1", `${latencyMs.toFixed(3)} ms`],
  ]);
}

/** The metrics with an external teacher, which is run on the samples. */
async function evaluateAgainst(teacher: Teacher, model: Module, data: Dataset): Promise<TaskEvaluation> {
  try {
    teacher.open?.({ data, taps: [] });
    await teacher.prepare?.({ out: null, once: true });
    const logits = await allLogits(teacher.outputs.bind(teacher), data);
    const ofTeacher = new Tensor(logits, [data.length, data.classes]);
    return evaluateOutputs(logitsOf(model, data), data, ofTeacher);
  } finally {
    await teacher.close?.();
  }
}

function summary(
  { accuracy, correct, samples, loss, calibration, teacherAccuracy, agreement }: Evaluation,
  latencyMs: number,
): string {
  const rows = [["accuracy", showPercent(accuracy), `${correct} of ${samples}`]];
  rows.push(["loss", loss.toFixed(4), "mean cross-entropy"]);
  rows.push(["calibration error", showPercent(calibration.error), "expected, over 15 bins"]);
  if (teacherAccuracy !== undefined) rows.push(["teacher's accuracy", showPercent(teacherAccuracy), ""]);
  if (agreement !== undefined) rows.push(["agreement with the teacher", showPercent(agreement), ""]);
  rows.push(["latency at batch 1", `${latencyMs.toFixed(3)} ms`, "median"]);
  const whole = formatTable(rows, Number.POSITIVE_INFINITY);
  // On a narrow terminal only the numbers: one of the notes would be wider.
  return whole.indexOf("\n") <= widthOf(process.stdout) ? whole : formatTable(rows.map((row) => row.slice(0, 2)));
}

function classTable({ perClass }: Evaluation, { classNames }: Dataset): string {
  const rows = perClass.map(({ precision, recall, f1, support }, i) => [
    classNames?.[i] ?? String(i),
    showPercent(precision),
    showPercent(recall),
    showPercent(f1),
    String(support),
  ]);
  return formatTable([["class", "precision", "recall", "F1", "support"], ...rows]);
}
