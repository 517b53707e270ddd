import type { Dataset, TableColumn } from "../data/dataset.js";
import { formatText } from "../data/preprocessing/number_format.js";
import { entryOf } from "../data/text/encodings.js";
import type { Module } from "../nn/module.js";
import { repr } from "../nn/repr.js";
import { fewer } from "../report/text.js";
import { showBytes, showCount } from "../show.js";
import { numel } from "../tensor/shape.js";
import {
  type DistillInput,
  estimateRun,
  type RunEstimate,
  type RunMemory,
  type TrainTeacherInput,
} from "../train/index.js";
import type { ShowFlags } from "./flags.js";
import { dataForms } from "./opening.js";
import type { Source } from "./source.js";
import { formatTable } from "./table.js";
import { print, printError } from "./terminal.js";

/** A part of what a command would do: a run, and how many times it is made. */
export interface PlannedRun {
  name: string;
  input: DistillInput | TrainTeacherInput;
  times: number;
}

const PARTS: Readonly<Record<keyof RunMemory, string>> = {
  weights: "weights of all networks",
  gradients: "gradients",
  optimizer: "the optimizer's state",
  activations: "activations of a step",
  data: "data",
  teacherLogits: "cached teacher logits",
  copies: "copies for checkpoints",
  process: "Node.js and the code",
};

/** Prints what would be trained, run by run, with its time and memory; writes nothing. */
export async function dryRun(
  networks: Readonly<Record<"teacher" | "student", Module | null>>,
  planned: readonly PlannedRun[],
  source: Source,
  flags: ShowFlags,
): Promise<void> {
  const { teacher, student } = networks;
  const parameters = { teacher: teacher?.parameterCount(), student: student?.parameterCount() };
  const compression = teacher && student ? teacher.parameterCount() / student.parameterCount() : null;
  const [training, { validation }] = [source.train(), source];
  const kinds = training.table?.columns.map(kindOf) ?? [];
  const data = {
    name: source.name,
    training: training.length,
    validation: validation?.length ?? 0,
    test: source.test?.length ?? 0,
    features: numel(source.context.shape),
    classes: source.context.classes,
    ...(training.table && { columns: training.table.columns.map(({ name }, i) => ({ name, is: kinds[i] })) }),
  };
  const runs: (RunEstimate & { name: string; times: number })[] = [];
  const notes = new Set<string>();
  const onNote = (text: string) => notes.add(text);
  for (const { name, times, input } of planned) {
    runs.push({ name, times, ...(await estimateRun({ ...input, onNote })) });
  }
  if (!flags.quiet) for (const note of notes) printError(note);
  const seconds = runs.reduce((sum, run) => sum + run.times * run.seconds, 0);
  const [largest] = runs.toSorted((a, b) => total(b.memory) - total(a.memory));
  const shown = Object.entries(networks).flatMap(([role, network]) => (network ? [[role, repr(network)]] : []));
  if (flags.json) {
    const object = { networks: Object.fromEntries(shown), parameters, compression, data, seconds, runs };
    print(JSON.stringify(object));
    return;
  }
  const lines = [
    ...shown.map(([role, text]) => `${role}: ${text}`),
    "",
    `Parameters: ${parametersText(parameters)}${compression === null ? "" : `, ${fewer(compression)}`}`,
    dataForms({ source, training, validation })[0],
    ...columnLines(training),
    ...(largest === undefined
      ? ["There is no run to make."]
      : [`Memory, about: ${showBytes(total(largest.memory), 1)}`, memoryTable(largest.memory)]),
    ...runs.map(timeLine),
    ...(runs.length > 1 || (runs[0]?.times ?? 1) > 1
      ? [`Time, about: ${duration(seconds)} one after the other; side by side it is less`]
      : []),
    "Nothing was written.",
  ];
  print(lines.join("\n"));
}

/** The maximum number of columns that are shown. */
const SHOWN = 30;

/** The type that each column of a table was given. */
function columnLines({ table, values, task, classes }: Dataset): string[] {
  if (values !== undefined) return [`Columns: ${showCount(values.mean.length)} of numbers, standardised`];
  if (table === undefined) return [];
  const { columns, label, labels = [label] } = table;
  const lines = columns.slice(0, SHOWN).map((column) => `  ${column.name}: ${kindOf(column)}`);
  const more = columns.length - lines.length;
  return [
    "Columns:",
    ...lines,
    ...(task === undefined
      ? [`  ${label.name}: the label, ${showCount(classes)} classes`]
      : labels.map(({ name }) => `  ${name}: ${task === "regression" ? "the target of a regression" : `of ${task}`}`)),
    ...(more > 0 ? [`  and ${showCount(more)} more`] : []),
  ];
}

function kindOf(column: TableColumn): string {
  if ("categories" in column) return `texts, ${column.categories.length} categories`;
  if ("text" in column) {
    const { kind, length } = column.text;
    return `texts, read as at most ${length} ids of ${showCount(entryOf(column.text).rows(column.text))} (${kind})`;
  }
  const format = column.format === undefined ? "" : `, written with ${formatText(column.format)}`;
  const missing = { true: ", missing ones become the mean", category: ", a second value says which are missing" };
  return `numbers${format}${column.missing === undefined ? "" : missing[`${column.missing}`]}`;
}

function parametersText(parameters: Readonly<Record<string, number | undefined>>): string {
  return Object.entries(parameters)
    .flatMap(([role, count]) => (count === undefined ? [] : [`${role} ${showCount(count)}`]))
    .join(", ");
}

function memoryTable(memory: RunMemory): string {
  const rows = Object.entries(PARTS).map(([part, text]) => [text, memory[part as keyof RunMemory]] as const);
  return formatTable(rows.filter(([, bytes]) => bytes > 0).map(([text, bytes]) => [`  ${text}`, showBytes(bytes, 1)]));
}

function timeLine({ name, times, seconds, steps, stepSeconds }: RunEstimate & { name: string; times: number }): string {
  const often = times === 1 ? "" : `${times} times `;
  const tried = `${showCount(steps)} steps of ${(1000 * stepSeconds).toFixed(2)} ms, as tried just now on this machine`;
  return `Time of ${name}, about: ${often}${duration(seconds)} for ${tried}`;
}

const total = (memory: RunMemory): number => Object.values(memory).reduce((sum, bytes) => sum + bytes, 0);

/** 3725 seconds as 1 h 2 min, 80 as 1 min 20 s. */
function duration(seconds: number): string {
  const rounded = Math.max(1, Math.round(seconds));
  const minutes = Math.floor(rounded / 60);
  if (minutes === 0) return `${rounded} s`;
  return minutes < 60 ? `${minutes} min ${rounded % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
