import { type Command, Option } from "commander";
import { getDefault } from "valibot";
import type { LoadOptions } from "../checkpoint/index.js";
import { DEFAULT_LOG_FILE } from "../log/index.js";
import { SCHEDULES } from "../train/options.js";

/** How a command shows what it does: what no configuration says. */
export interface ShowFlags {
  json?: boolean;
  quiet?: boolean;
  debug?: boolean;
}

/** What a training command takes beside its configuration. */
export interface TrainingFlags extends ShowFlags {
  config?: string;
  resume?: boolean;
  dryRun?: boolean;
}

/** How a file of weights is read. */
export interface LoadFlags {
  key?: string;
  allowNonFinite?: boolean;
}

type Flag = readonly [value: string, text: string, parse?: (text: string) => unknown];

const RUNNING = "Running:";

const GROUPS: Readonly<Record<string, Readonly<Record<string, Flag>>>> = {
  "Data:": {
    data: [
      "<name>",
      "synthetic, fashion-mnist, mnist, kmnist, cifar-10, cifar-100; a folder with IDX or CIFAR files, or with pictures by class; a .csv, .tsv, .npz or .npy file",
    ],
    labelColumn: ["<name>", "of a .csv: the column of the classes (default: label, class, target, y, or the last)"],
    header: ["", "of a .csv: the first line names the columns (default: where it has no number)"],
    imageSize: ["<pixels>", "of pictures: make them all of this size, such as 32 or 48x64 (rows x columns)", toSides],
    grey: ["", "of pictures: make them all grey (default: as the first one is)"],
    stream: ["", "leave the data on the disk, and read them in shuffled chunks"],
    testShare: ["<share>", "of data without a test part: what is split off for it, 0 for none", toNumber],
    validation: [
      "<share>",
      "of the training data, to choose epochs by; 0 for none (default: 0.1; 0 of synthetic)",
      toNumber,
    ],
    splitSeed: ["<number>", "of these splits alone", toNumber],
    augment: ["<changes>", "of images, at random: shift=2,flip=0.5, also crop=4 (pixels), noise=0.1", toChanges],
  },
  "Teacher:": {
    teacher: [
      "<file>",
      "its weights, .pth or .safetensors (default: of several runs, it is trained first; of synthetic data, drawn)",
    ],
    teacherMode: ["<mode>", "train or eval (default: train with synthetic data, as the script, else eval)"],
    teacherCache: ["", "ask it once for each example (default: where that is exact)"],
  },
  "Comparison:": {
    seeds: ["<number>", "pairs of students, of the seeds from --seed on", toNumber],
    temperatures: ["<list>", "divide both networks' logits; each is tried with each alpha", toNumbers],
    alphas: ["<list>", "weights of the teacher's soft targets, from 0 to 1", toNumbers],
    parallel: ["<number>", "students trained at once, in processes (default: the cores)", toNumber],
  },
  "Training:": {
    epochs: ["<number>", "passes over the training data", toNumber],
    batchSize: ["<number>", "examples a step", toNumber],
    shuffle: ["", "a new order each epoch (default: but for synthetic data)"],
    dropLast: ["", "leave a last, short batch out"],
    lr: ["<number>", "the highest learning rate", toNumber],
    schedule: ["<name>", `of the learning rate: ${SCHEDULES.join(", ")}`],
    pctStart: ["<share>", "one-cycle: the part in which the rate rises", toNumber],
    divFactor: ["<number>", "one-cycle: it starts at lr divided by this", toNumber],
    finalDivFactor: ["<number>", "one-cycle: and ends at its start divided by this", toNumber],
    warmupSteps: ["<number>", "other schedules: steps in which the rate rises from 0", toNumber],
    stepSize: ["<epochs>", "step: between drops of the rate", toNumber],
    gamma: ["<number>", "step: what the rate is multiplied with", toNumber],
    weightDecay: ["<number>", "AdamW's decoupled weight decay", toNumber],
    maxGradNorm: ["<number>", "the gradient is scaled down to this norm", toNumber],
    temperature: ["<number>", "divides both networks' logits", toNumber],
    alpha: ["<share>", "weight of the teacher's soft targets, from 0 to 1", toNumber],
    labelSmoothing: ["<share>", "of a label's probability, spread over all classes", toNumber],
    patience: ["<epochs>", "end after so many without a better one on the validation set (default: none)", toNumber],
  },
  "What is kept:": {
    out: ["<folder>", "for checkpoints, metrics, weights and the report"],
    checkpointEvery: [
      "<n>",
      "epochs between checkpoints, or 100steps (default: 1, but at most one a second)",
      toInterval,
    ],
    keepCheckpoints: ["<n>", "how many, the newest included", toNumber],
    report: ["", "write report.html"],
    tensorboard: ["[folder]", "write TensorBoard's event files (default: in the run's folder)"],
    csv: ["[file]", "write the metrics as a table (default: in the run's folder)"],
    logFile: ["[file]", `send everything printed to a file too (default: ${DEFAULT_LOG_FILE})`],
  },
  [RUNNING]: {
    seed: ["<number>", "of the random stream", toNumber],
    threads: ["<number>", "for the arithmetic (default: the cores)", toNumber],
  },
};

interface Fields {
  readonly entries: Readonly<Record<string, Parameters<typeof getDefault>[0]>>;
}

/** Adds a flag for each option of a schema, with its default; `told` has what a command says of one in its own words. */
export function addOptions(
  command: Command,
  { entries }: Fields,
  told: Readonly<Record<string, string>> = {},
): Command {
  for (const [group, flags] of Object.entries(GROUPS)) {
    for (const [name, [value, text, parse]] of Object.entries(flags)) {
      const field = Object.hasOwn(entries, name) ? entries[name] : undefined;
      if (field === undefined) continue;
      const usual = getDefault(field);
      const option = (form: string, description: string) => {
        const one = new Option(form, description).helpGroup(group);
        command.addOption(parse === undefined ? one : one.argParser(parse));
      };
      const isShown = typeof usual === "string" || typeof usual === "number" || Array.isArray(usual);
      const full = told[name] ?? (isShown ? `${text} (default: ${usual})` : text);
      if (usual !== true) option(`${flagOf(name)} ${value}`.trim(), full);
      if (NEGATED[name] !== undefined) option(flagOf(name).replace("--", "--no-"), NEGATED[name]);
    }
  }
  return command;
}

const NEGATED: Readonly<Record<string, string>> = {
  header: "it holds values",
  grey: "make them all colour",
  teacherCache: "ask it at each step",
  shuffle: "the data's own order each epoch",
  report: "write no report.html",
};

/** Adds what says how a command shows what it does. */
export function addShowing(command: Command, json = "print JSON lines"): Command {
  return addGroup(command, RUNNING, { "--json": json, "--debug": "print the stack trace of a failure" });
}

/** Adds what a training command takes beside its configuration. */
export function addRunning(command: Command): Command {
  addGroup(command, RUNNING, {
    "--config <file>": "options from a .json or .yaml file, by their names; flags go before it",
    "--resume": "go on with what is in its folder",
    "--dry-run": "say what would be trained, and what it takes; write nothing",
    "--quiet": "print nothing but failures",
  });
  return addShowing(command);
}

function addGroup(command: Command, group: string, flags: Readonly<Record<string, string>>): Command {
  for (const [form, text] of Object.entries(flags)) command.addOption(new Option(form, text).helpGroup(group));
  return command;
}

/** Adds the flags of a command that reads weights. */
export function addLoading(command: Command): Command {
  return addGroup(command, "Reading weights:", {
    "--key <name>": "of a checkpoint that holds more: where its weights stand, such as model",
    "--allow-non-finite": "take weights that are NaN or infinite",
  });
}

/** The library's form of them. */
export function loadOptions({ key, allowNonFinite = false }: LoadFlags): LoadOptions {
  return { allowNonFinite, ...(key !== undefined && { key }) };
}

/** What was given on the command line, without defaults. */
export function givenFlags(command: Command): Record<string, unknown> {
  const given = Object.entries(command.opts()).filter(([name]) => command.getOptionValueSource(name) === "cli");
  return Object.fromEntries(given);
}

/** The flag of an option: `--batch-size` of `batchSize`. */
export function flagOf(option: string): string {
  return `--${option.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** A number, or the text where it is none. */
export function toNumber(text: string): number | string {
  return text.trim() === "" || Number.isNaN(Number(text)) ? text : Number(text);
}

/** `1,2,4` by its numbers. */
function toNumbers(text: string): unknown {
  return text.split(",").map(toNumber);
}

/** `32`, or `48x64`: rows and columns. */
function toSides(text: string): unknown {
  return text.includes("x") ? text.split("x").map(toNumber) : toNumber(text);
}

/** `5` is epochs, `100steps` is steps. */
function toInterval(text: string): unknown {
  const steps = text.replace(/ ?steps?$/, "");
  return steps === text ? toNumber(text) : { steps: toNumber(steps) };
}

/** `shift=2,flip=0.5` by its names. */
function toChanges(text: string): unknown {
  const parts = text.split(",").map((part) => part.split("="));
  if (parts.some(({ length }) => length !== 2)) return text;
  return Object.fromEntries(parts.map(([name = "", value = ""]) => [name.trim(), toNumber(value)]));
}
