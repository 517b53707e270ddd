import { type Command, Option } from "commander";
import { getDefault } from "valibot";
import type { LoadOptions, ReadOptions } from "../checkpoint/index.js";
import { DATASET_NAMES, FORMATS_HELP } from "../data/index.js";
import { LOADING_FLAGS, type OptionFlag } from "../data/load_options.js";
import { DEFAULT_LOG_FILE } from "../log/index.js";
import { LOSSES } from "../losses/index.js";
import { AVERAGE_DEFAULTS, AVERAGES } from "../models/ensemble.js";
import { MODELS } from "../models/index.js";
import { OPTIMIZERS, SCHEDULES } from "../optim/index.js";
import { splitExpressions } from "../registry/index.js";
import { FUNCTION_DEFAULTS } from "../teachers/function_teacher.js";
import { flagOf } from "./flag_names.js";
import { toChanges, toInterval, toList, toNumber, toNumbers, toSides, toTexts } from "./flag_values.js";
import { printError } from "./terminal.js";

/** How a command shows what it does; no configuration says it. */
export interface ShowFlags {
  json?: boolean;
  quiet?: boolean;
  debug?: boolean;
}

/** What a training command takes beside its configuration. */
export interface TrainingFlags extends ShowFlags {
  config?: string;
  resume?: boolean;
  overwrite?: boolean;
  dryRun?: boolean;
}

/** How a file of weights is read. */
export interface LoadFlags {
  key?: string;
  stripPrefix?: string;
  allowNonFinite?: boolean;
  quiet?: boolean;
}

export type Flag = readonly [value: string, text: string, parse?: (text: string, before: unknown) => unknown];

const RUNNING = "Running:";
const READING = "Reading weights:";
const NETWORK = "<network>";
const OWN = "./net.mjs#Tiny";

/** What the texts of flags mean. */
const PARSERS = { number: toNumber, numbers: toNumbers, sides: toSides, list: toTexts };
/** The flags of what says how data are read. */
const LOADING = Object.fromEntries(Object.entries(LOADING_FLAGS).map(([name, flag]) => [name, toFlag(flag)]));

function toFlag({ value, help, parse }: OptionFlag): Flag {
  return parse === undefined ? [value, help] : [value, help, PARSERS[parse]];
}

/** What help texts say of options, in groups; types and defaults come from the schemas, names from the registries. */
const GROUPS: Readonly<Record<string, Readonly<Record<string, Flag>>>> = {
  "Data:": {
    data: ["<name>", `synthetic, ${DATASET_NAMES.join(", ")}; or ${FORMATS_HELP}`],
    ...LOADING,
    validation: [
      "<fraction>",
      "fraction of the training data to choose epochs by, 0 for none (default: 0.1; 0 for synthetic data)",
      toNumber,
    ],
    augment: [
      "<changes>",
      "random changes: of images shift=2,flip=0.5, also crop=4 (pixels); of any samples noise=0.1,mixup=1",
      toChanges,
    ],
  },
  "Networks:": {
    student: [NETWORK, `network that is trained, ${MODELS.names.join(", ")} or a class of your own, ${OWN}`, toList],
    teacherNetwork: [NETWORK, "network of the teacher, if its file does not say it"],
    dimensions: [
      "<number>",
      "of --task vectors: length of the student's vectors; if it is not the targets', add --loss \"vector-kd(projection=true)\", whose projection is trained beside the student and dropped at the end (default: the targets')",
      toNumber,
    ],
    from: ["<file>", "weights that training starts from (default: drawn from the seed)"],
    teacher: [
      "<file>",
      "teacher weights, .pth or .safetensors; several times for several teachers, which are averaged (default: one is trained)",
      toList,
    ],
    average: [
      "<what>",
      `what is averaged of several teachers: ${AVERAGES.join(" or ")} (default: ${AVERAGE_DEFAULTS.average})`,
    ],
    teacherWeights: ["<list>", "weights of several teachers, in their order, as 2,1 (default: equal)", toNumbers],
    teacherConfidence: ["", "weigh each of several teachers by its highest probability for the sample too"],
    teacherClasses: ["<names>", "the classes in the order of the teacher's outputs, a,b,c", toTexts],
    chain: [
      "<networks>",
      'students, each distilled from the one before, "mlp(hidden=[256]) -> mlp(hidden=[64])"; the first from --teacher, or without one trained on the labels',
    ],
    generations: [
      "<number>",
      "students of the same network, each distilled from the one before; the first from --teacher, or without one from generation 0, which is trained on the labels",
      toNumber,
    ],
    teacherColumn: ["<name>", "column of a table with the teacher's logits, a cell such as [0.1, 2.5, -1]"],
    teacherInput: ["<name>", "input of an ONNX teacher (default: the one that samples fit)"],
    teacherOutput: ["<name>", "output of an ONNX teacher (default: the one with a number for each class)"],
    teacherMean: [
      "<list>",
      "what is taken off pixels / 255, or a table's numbers, for an ONNX teacher, as 0.485,0.456,0.406 (default: as for the student)",
      toNumbers,
    ],
    teacherStd: ["<list>", "what the rest is divided by, as 0.229,0.224,0.225", toNumbers],
    teacherSize: ["<pixels>", "resize images for an ONNX teacher, such as 224 or 48x64", toSides],
    teacherConcurrency: [
      "<number>",
      `batches that a function is asked about at the same time (default: ${FUNCTION_DEFAULTS.concurrency})`,
      toNumber,
    ],
    teacherRetries: [
      "<number>",
      `times that a batch is asked for again (default: ${FUNCTION_DEFAULTS.retries} if the error says so)`,
      toNumber,
    ],
    teacherBatch: [
      "<number>",
      `samples that a function is asked about at once (default: ${FUNCTION_DEFAULTS.batchSize})`,
      toNumber,
    ],
    teacherAnswers: ["<folder>", "what a function answered is kept here (default: in the run's folder)"],
    teacherMode: ["<mode>", "train or eval (default: train for synthetic data, as in the reference script, else eval)"],
    calibrateTeacher: ["", "divide the teacher's logits by the temperature that fits the validation set best"],
    teacherCache: ["", "cache teacher logits (default: when exact)"],
  },
  "Experiment:": {
    losses: [
      "<list>",
      'losses to set side by side, instead of --loss: "kd, dkd(warmup=20), kd + rkd"',
      splitExpressions,
    ],
    fractions: [
      "<list>",
      "fractions of the training data to train pairs of students on too, 0.03,0.1,0.3,1: a data-size curve",
      toNumbers,
    ],
    seeds: ["<number>", "number of seeds, starting at --seed", toNumber],
    temperatures: ["<list>", "temperatures; each is tried with each alpha", toNumbers],
    alphas: ["<list>", "weights of the soft targets, from 0 to 1", toNumbers],
    parallel: ["<number>", "runs trained at once, each in its own process (default: as many as --threads)", toNumber],
  },
  "Training:": {
    epochs: ["<number>", "passes over the training data", toNumber],
    batchSize: ["<number>", "samples a step", toNumber],
    shuffle: ["", "a new order each epoch (default: true, except for synthetic data)"],
    dropLast: ["", "leave out a last, short batch"],
    lr: ["<number>", "highest learning rate", toNumber],
    optimizer: ["<name>", `${OPTIMIZERS.names.join(", ")}; with arguments as "sgd(momentum=0.9)"`],
    schedule: ["<name>", `learning rate schedule: ${SCHEDULES.names.join(", ")}; with arguments as "cosine(end=0.1)"`],
    pctStart: [
      "<fraction>",
      `one-cycle: fraction of the steps in which the rate rises${usual("one-cycle", "pctStart")}`,
      toNumber,
    ],
    divFactor: ["<number>", `one-cycle: initial rate = lr / this${usual("one-cycle", "divFactor")}`, toNumber],
    finalDivFactor: [
      "<number>",
      `one-cycle: final rate = initial rate / this${usual("one-cycle", "finalDivFactor")}`,
      toNumber,
    ],
    warmupSteps: [
      "<number>",
      `other schedules: steps over which the rate rises first${usual("constant", "warmupSteps")}`,
      toNumber,
    ],
    stepSize: ["<epochs>", `step: epochs between decays${usual("step", "stepSize")}`, toNumber],
    gamma: ["<number>", `step, multi-step, exponential: factor of each decay${usual("step", "gamma")}`, toNumber],
    weightDecay: ["<number>", "weight decay: decoupled in adamw, added to the gradient in adam and sgd", toNumber],
    maxGradNorm: ["<number>", "clip the gradient to this norm", toNumber],
    temperature: ["<number>", "divides both networks' logits", toNumber],
    alpha: ["<fraction>", "weight of the soft targets, from 0 to 1", toNumber],
    loss: [
      "<loss>",
      `terms with weights, "0.1*cross-entropy + 0.9*kd(temperature=4)": ${LOSSES.names.join(", ")} or a module of your own, ./my_loss.mjs`,
    ],
    labelSmoothing: ["<fraction>", "fraction of a label's probability that is spread over all classes", toNumber],
    ema: ["<decay>", "keep an exponential moving average of the weights, such as 0.999 (default: none)", toNumber],
    accumulate: ["<number>", "batches whose gradients are averaged before each step", toNumber],
    precision: [
      "<name>",
      "of linear layers', attention's and convolutions' products: float32, or bf16, by AMX or AVX512-BF16 where the processor has it; float32 sums",
    ],
    shards: ["<number>", "equal parts of a batch whose gradients are computed apart", toNumber],
    batchNorm: ["<whose>", "with --shards, whose statistics BatchNorm takes: shard or batch"],
    patience: [
      "<epochs>",
      "early stopping: epochs without improvement on the validation set (default: none)",
      toNumber,
    ],
  },
  "Output:": {
    out: ["<folder>", "checkpoints, metrics, weights and the report"],
    checkpointEvery: [
      "<n>",
      "epochs between checkpoints, or 100steps (default: 1, but at most one a second)",
      toInterval,
    ],
    keepCheckpoints: [
      "<n>",
      "checkpoints kept, the newest included; 0: of a finished run none with the optimizer's state",
      toNumber,
    ],
    report: ["", "write report.html"],
    tensorboard: ["[folder]", "write TensorBoard's event files (default: in the run's folder)"],
    csv: ["[file]", "write the metrics as a table (default: in the run's folder)"],
    logFile: ["[file]", `write everything printed to a file too (default: ${DEFAULT_LOG_FILE})`],
  },
  [RUNNING]: {
    seed: ["<number>", "seed of the random stream", toNumber],
    threads: [
      "<number>",
      "compute threads, at most the cores (default: $DISTILLERY_THREADS, else the cores)",
      toNumber,
    ],
    forceThreads: ["", "take more threads than cores"],
  },
};

/** The default of a schedule's option. */
function usual(schedule: string, option: string): string {
  return ` (default: ${SCHEDULES.optionsOf(schedule).find(({ name }) => name === option)?.default})`;
}

interface Fields {
  readonly entries: Readonly<Record<string, Parameters<typeof getDefault>[0]>>;
}

/** What `--teacher` takes, for help texts. */
export const TEACHER_TEXT =
  "teacher weights, .pth or .safetensors, or logits by sample, .npy, .npz or .safetensors, an ONNX network, or a function of your own, ./teacher.mjs; several times for several teachers, which are averaged";

/** The texts of a command that refuses the synthetic data. */
export const REAL_DATA = {
  data: `${DATASET_NAMES.join(", ")}; or ${FORMATS_HELP} (required)`,
  validation: "fraction of the training data to choose epochs by (default: 0.1)",
  shuffle: "a new order each epoch (default: true)",
  teacher: `${TEACHER_TEXT} (default: one is trained)`,
} as const;

/** Adds a flag for each option of a schema, with its default; `own` has a command's own texts and values. */
export function addOptions(
  command: Command,
  { entries }: Fields,
  own: Readonly<Record<string, string | Flag>> = {},
): Command {
  for (const [group, flags] of Object.entries(GROUPS)) {
    for (const [name, usualFlag] of Object.entries(flags)) {
      const field = Object.hasOwn(entries, name) ? entries[name] : undefined;
      if (field === undefined) continue;
      const given = own[name];
      const [value, text, parse] = typeof given === "object" ? given : usualFlag;
      const usual = getDefault(field);
      const option = (form: string, description: string) => {
        const one = new Option(form, description).helpGroup(group);
        command.addOption(parse === undefined ? one : one.argParser(parse));
      };
      const isShown = typeof usual === "string" || typeof usual === "number" || Array.isArray(usual);
      const full = typeof given === "string" ? given : isShown ? `${text} (default: ${usual})` : text;
      if (usual !== true) option(`${flagOf(name)} ${value}`.trim(), full);
      const negated = NEGATED[name];
      if (negated !== undefined) option(flagOf(name).replace("--", "--no-"), negated);
    }
  }
  return command;
}

const NEGATED: Readonly<Record<string, string | undefined>> = {
  ...Object.fromEntries(Object.entries(LOADING_FLAGS).map(([name, { negated }]) => [name, negated])),
  teacherCache: "run the teacher at each step",
  teacherAnswers: "ask a function at each step, and keep nothing",
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
    "--config <file>": "options from a .json or .yaml file; flags take precedence",
    "--resume": "resume from the checkpoint in --out; with more --epochs also a finished run",
    "--overwrite": "replace a run of other options in --out",
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
  return addGroup(addPart(command), READING, { "--allow-non-finite": "accept weights that are NaN or infinite" });
}

/** Adds the flags that say which tensors of a file are meant. */
export function addPart(command: Command): Command {
  return addGroup(command, READING, {
    "--key <name>": "key of the state dict in a checkpoint that holds several, such as model",
    "--strip-prefix <text>":
      "take this off the keys (default: module., _orig_mod., model., encoder., ema. and the like where all have it)",
  });
}

/** Adds the flag that says which network a file holds. */
export function addNetwork(command: Command, flag = "--network"): Command {
  const text = `network of a .pth file, or a class of your own: "mlp(hidden=[64])", ${OWN} (default: what the file says)`;
  return addGroup(command, READING, { [`${flag} ${NETWORK}`]: text });
}

/** The same as the library takes it. */
export function loadOptions(flags: LoadFlags): LoadOptions {
  return { ...partOptions(flags), allowNonFinite: flags.allowNonFinite ?? false };
}

/** Which tensors of a file are meant; what was left out of it is printed to standard error. */
export function partOptions({ key, stripPrefix, quiet = false }: Omit<LoadFlags, "allowNonFinite">): ReadOptions {
  return {
    ...(key !== undefined && { key }),
    ...(stripPrefix !== undefined && { stripPrefix }),
    ...(!quiet && { onNote: printError }),
  };
}

/** What was given on the command line, without defaults. */
export function givenFlags(command: Command): Record<string, unknown> {
  const given = Object.entries(command.opts()).filter(([name]) => command.getOptionValueSource(name) === "cli");
  return Object.fromEntries(given);
}
