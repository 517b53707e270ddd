import { isDeepStrictEqual } from "node:util";
import { Command, Option } from "commander";
import { openNetwork } from "../checkpoint/index.js";
import { dataSchema } from "../config/index.js";
import { expectUndecided, isDecided } from "../data/given_preprocessing.js";
import {
  type FileSamples,
  inputFeatures,
  type Preprocessing,
  preprocessingOf,
  readSamples,
  SAMPLES_HELP,
} from "../data/index.js";
import { onlyLoading } from "../data/load_options.js";
import { sampleShape } from "../data/preprocessing/spec.js";
import { outputsText } from "../data/targets.js";
import { hasTargets } from "../data/task_name.js";
import type { Module } from "../nn/module.js";
import { ordinal } from "../report/text.js";
import { showPercent } from "../show.js";
import { rowOf } from "../slices.js";
import { taskOf } from "../tasks/index.js";
import type { Prediction, TaskPrediction } from "../train/index.js";
import { batchesOfPredictions } from "../train/inference.js";
import { without } from "../without.js";
import { errorBoundary, UsageError } from "./error_boundary.js";
import { flagOf } from "./flag_names.js";
import { toNumber } from "./flag_values.js";
import {
  addLoading,
  addNetwork,
  addOptions,
  addShowing,
  givenFlags,
  type LoadFlags,
  loadOptions,
  type ShowFlags,
} from "./flags.js";
import { expectFits, type NetworkOptions, Networks } from "./networks.js";
import { optionsOf } from "./settings.js";
import { setUp } from "./source.js";
import { formatTable } from "./table.js";
import { print } from "./terminal.js";

interface PredictFlags extends ShowFlags, LoadFlags, Pick<NetworkOptions, "network"> {
  files: string[];
  student?: string;
  data?: string;
  encoding?: string;
  exifOrientation?: boolean;
  dropColumns?: (string | number)[];
  top?: number | string;
}

/** The samples of a file. */
interface Read extends FileSamples {
  readonly file: string;
}

/** A sample of a file, and the network's prediction for it. */
interface Predicted {
  readonly read: Read;
  readonly index: number;
  /** Its location; within the file if there is only one file. */
  readonly location: string;
  readonly prediction: TaskPrediction;
}

const DATA = "the data that the network was trained on (default: the preprocessing that its file describes)";

/** No random numbers are drawn. */
const DATA_FLAGS = { entries: without(dataSchema.entries, ["seed"]) };

const TOP = 3;

/** `distillery predict FILE...`. */
export function makeCommand(): Command {
  const command = new Command("predict")
    .description("classify new samples, or predict the values or labels of another task")
    .argument("<file...>", SAMPLES_HELP)
    .requiredOption(
      "--student <file>",
      "the network's weights; a run's .safetensors file describes their preprocessing",
    )
    .addOption(new Option("--top <n>", `classes that the table shows (default: ${TOP})`).argParser(toNumber));
  return addNetwork(addLoading(addShowing(addOptions(command, DATA_FLAGS, { data: DATA })))).action((files: string[]) =>
    errorBoundary(runPredict)({ ...givenFlags(command), files }),
  );
}

/** Prints the most probable classes of each sample, as a table or as JSON lines. */
async function runPredict(flags: PredictFlags): Promise<void> {
  const { files, student = "", top = TOP, encoding, exifOrientation, dropColumns } = flags;
  if (typeof top !== "number" || !Number.isInteger(top) || top < 1) {
    throw new UsageError(`--top: expected a whole number of at least 1, got ${JSON.stringify(top)}`);
  }
  if (flags.top !== undefined && flags.json) {
    throw new UsageError("--top: is for the table, and --json has the probabilities of all classes: leave it out");
  }
  const networks = await Networks.open({ network: flags.network });
  const opened = await openNetwork(student, loadOptions(flags));
  const { description, shape } = await descriptionFor(student, opened.record?.preprocessing ?? null, flags);
  const network = networks.of(opened, "network", shape);
  const { classes, classNames } = description;
  if (flags.top !== undefined && hasTargets(description)) {
    throw new UsageError(`--top: needs classes, and the network is for ${description.task}: leave it out`);
  }
  expectFits(student, network, {
    name: flags.data ?? "its description of inputs",
    // Vectors may have other dimensions than the targets.
    context: { shape: [inputFeatures(description)], classes: taskOf(description).width(classes) },
  });
  const reads: Read[] = [];
  for (const file of files) {
    reads.push({ file, ...(await readSamples(file, description, { encoding, exifOrientation, dropColumns })) });
  }
  const predicted = predictions(network, reads, description);
  if (flags.json) for (const one of predicted) printJson(one, description);
  else if (hasTargets(description)) print(targetTable(predicted, reads, description));
  else print(tableOf(predicted, reads, Math.min(top, classes), classNames).join("\n"));
}

/** One batch after the other: the probabilities of all classes are not kept for all samples. */
function* predictions(network: Module, reads: readonly Read[], preprocessing: Preprocessing): Generator<Predicted> {
  const { classNames } = preprocessing;
  for (const read of reads) {
    let index = 0;
    for (const batch of batchesOfPredictions(network, read.inputs, { classNames, preprocessing })) {
      for (const prediction of batch) {
        const location = read.locations[index];
        yield {
          read,
          index,
          location: reads.length === 1 ? location.replace(`${read.file}, `, "") : location,
          prediction,
        };
        index++;
      }
    }
  }
}

/** The network's preprocessing or, if its file does not state one, that of the data; and the shape of a sample. */
async function descriptionFor(
  student: string,
  own: Preprocessing | null,
  flags: PredictFlags,
): Promise<{ description: Preprocessing; shape: readonly number[] }> {
  const options = optionsOf(dataSchema, { ...flags });
  if (flags.data !== undefined) {
    const source = await setUp(options);
    const description = preprocessingOf(source.train());
    if (own === null || isDeepStrictEqual(own, description)) return { description, shape: source.context.shape };
    throw new UsageError(`--data: ${student} was trained with inputs made otherwise, which it knows: leave --data out`);
  }
  if (own !== null) {
    expectOfSamples(flags, own);
    return { description: own, shape: sampleShape(own) };
  }
  const reason = `${student} does not say how inputs are made, as the .safetensors files of runs do`;
  throw new UsageError(`--data: ${reason}: give such a file as --student, or name the data it was trained on`);
}

/** Of the data options, new samples use those that say how a file is read. */
const OF_SAMPLES: readonly string[] = ["encoding", "exifOrientation"];

/**
 * Refuses data options that the network's own preprocessing decides, and options of training data, which `predict` does
 * not read.
 */
function expectOfSamples(flags: PredictFlags, own: Preprocessing): void {
  const { dropColumns = [], ...given } = onlyLoading({ ...flags });
  const labels = own.kind === "table" ? (own.labels ?? [own.label]).map(({ name }) => name) : [];
  // New samples need no label: if the label column is missing, they are read as unlabelled.
  const others = dropColumns.filter((column) => !labels.includes(String(column)));
  expectUndecided({ ...given, ...(others.length > 0 && { dropColumns: others }) }, own);
  const foreign = Object.keys(given).find((name) => !isDecided(name) && !OF_SAMPLES.includes(name));
  if (foreign === undefined) return;
  throw new UsageError(
    `${flagOf(foreign, flags[foreign as keyof PredictFlags])}: says how --data are read, and the network's file says it all: leave it out`,
  );
}

function printJson({ read, index, prediction }: Predicted, { classes }: Preprocessing): void {
  const { file, labels, targets } = read;
  const own = targets && { targets: Array.from(rowOf(targets, index, classes)) };
  const label = labels === null ? {} : (own ?? { label: labels[index] });
  print(JSON.stringify({ file, index, ...prediction, ...label }));
}

/** The maximum number of values of a vector that the table shows. */
const SHOWN = 8;

/** The predicted values or labels of each sample, with those in the file. */
function targetTable(predicted: Iterable<Predicted>, reads: readonly Read[], description: Preprocessing): string {
  const { classes, classNames } = description;
  const isGiven = reads.some(({ targets }) => targets !== undefined);
  const number = (x: number) => (Number.isNaN(x) ? "?" : String(Number(x.toPrecision(6))));
  let width = classes;
  const rows: string[][] = [];
  for (const { read, index, location, prediction } of predicted) {
    const values = "probabilities" in prediction ? prediction.probabilities : prediction.values;
    const said = values.slice(0, SHOWN).map("probabilities" in prediction ? (p) => showPercent(p) : number);
    const { targets } = read;
    const own = said.map((_, c) => (targets === undefined ? "" : number(targets[index * classes + c])));
    rows.push([location, ...said, ...(isGiven ? own : [])]);
    width = values.length;
  }
  const names = Array.from({ length: Math.min(width, SHOWN) }, (_, i) => classNames?.[i] ?? String(i));
  const given = isGiven ? names.map((name) => `${name}, given`) : [];
  const more =
    width > SHOWN ? `\nThe first ${SHOWN} of ${outputsText({ ...description, classes: width })}; --json has all` : "";
  return `${formatTable([["", ...names, ...given], ...rows])}${more}`;
}

function tableOf(
  predicted: Iterable<Predicted>,
  reads: readonly Read[],
  top: number,
  names: readonly string[] | null,
): string[] {
  const name = (label: number) => (label < 0 ? "?" : (names?.[label] ?? String(label)));
  const total = reads.reduce((sum, { labelled = 0 }) => sum + labelled, 0);
  const isLabelled = total > 0;
  let right = 0;
  const rows: string[][] = [];
  for (const { read, index, location, prediction } of predicted) {
    const { probabilities, class: best } = prediction as Prediction;
    const cells = topOf(probabilities, top).map((label) => `${name(label)} ${showPercent(probabilities[label])}`);
    const label = read.labels?.[index] ?? -1;
    rows.push([location, ...cells, ...(isLabelled ? [name(label)] : [])]);
    if (best === label) right += 1;
  }
  const heads = Array.from({ length: top }, (_, i) => ordinal(i + 1));
  const table = formatTable([["", ...heads, ...(isLabelled ? ["label"] : [])], ...rows]);
  return isLabelled ? [table, "", `${right} of ${total} as labelled, ${showPercent(right / total)}`] : [table];
}

/** The indices of the `count` largest values, largest first; among equal values the first. */
function topOf(values: readonly number[], count: number): number[] {
  const top: number[] = [];
  for (let i = 0; i < values.length; i++) {
    if (top.length === count && values[i] <= values[top[count - 1]]) continue;
    let place = top.length;
    while (place > 0 && values[top[place - 1]] < values[i]) place--;
    top.splice(place, 0, i);
    if (top.length > count) top.pop();
  }
  return top;
}
