import { DATASET_NAMES, FORMATS_HELP } from "../data/index.js";
import { LOADING_FLAGS, type OptionFlag } from "../data/load_options.js";
import { DEFAULT_LOG_FILE } from "../log/index.js";
import { LOSSES } from "../losses/index.js";
import { AVERAGE_DEFAULTS, AVERAGES } from "../models/ensemble.js";
import { MODELS } from "../models/index.js";
import { OPTIMIZERS, SCHEDULES } from "../optim/index.js";
import { splitExpressions } from "../registry/index.js";
import { FUNCTION_DEFAULTS } from "../teachers/function_teacher.js";
import { toChanges, toInterval, toList, toNumber, toNumberOrNone, toNumbers, toSides, toTexts } from "./flag_values.js";

/** The value, the help text and the parser of a flag. */
export type Flag = readonly [value: string, text: string, parse?: (text: string, before: unknown) => unknown];

/** The group of the flags that say how a command runs. */
export const RUNNING = "Running:";
export const NETWORK = "<network>";
export const OWN = "./net.mjs#Tiny";

/** What `--teacher` takes, for help texts. */
export const TEACHER_TEXT =
  "teacher weights, .pth or .safetensors, or logits by sample, .npy, .npz or .safetensors, an ONNX network, or a function of your own, ./teacher.mjs; several times for several teachers, which are averaged";

/** The help of `--image-size` for a network whose file does not state the size. */
export const PTH_IMAGE_SIZE = "pixels of the images that a .pth file's network is for, such as 32 or 32x48";

/** Help texts of a command that refuses the synthetic data. */
export const REAL_DATA = {
  data: `${DATASET_NAMES.join(", ")}; or ${FORMATS_HELP} (required)`,
  validation: "fraction of the training data to choose epochs by (default: 0.1)",
  shuffle: "a new order each epoch (default: true)",
  teacher: `${TEACHER_TEXT} (default: one is trained)`,
} as const;

/** How the texts of flags are parsed. */
const PARSERS = { number: toNumber, numbers: toNumbers, sides: toSides, list: toTexts };
/** The flags of the options that say how data are read. */
const LOADING = Object.fromEntries(Object.entries(LOADING_FLAGS).map(([name, flag]) => [name, toFlag(flag)]));

function toFlag({ value, help, parse }: OptionFlag): Flag {
  return parse === undefined ? [value, help] : [value, help, PARSERS[parse]];
}

/** The help texts of options, in groups. Types and defaults come from the schemas, names from the registries. */
export const GROUPS: Readonly<Record<string, Readonly<Record<string, Flag>>>> = {
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
    teacher: ["<file>", TEACHER_TEXT, toList],
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
    teacherCache: ["", "cache teacher logits (default: if that is exact)"],
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
    optimizer: [
      "<name>",
      `${OPTIMIZERS.names.join(", ")}; with arguments as "sgd(momentum=0.9)"; or a module of your own, ./two_rates.mjs`,
    ],
    schedule: [
      "<name>",
      `learning rate schedule: ${SCHEDULES.names.join(", ")}; with arguments as "cosine(end=0.1)"; or a module of your own, ./rate.mjs`,
    ],
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
    gamma: [
      "<number>",
      `factor of each decay of step and multi-step${usual("step", "gamma")}, and of exponential, which needs it`,
      toNumber,
    ],
    weightDecay: ["<number>", "weight decay: decoupled in adamw, added to the gradient in adam and sgd", toNumber],
    maxGradNorm: ["<number>", "clip the gradient to this norm; none: do not", toNumberOrNone],
    temperature: ["<number>", "divides both networks' logits", toNumber],
    alpha: ["<fraction>", "weight of the soft targets, from 0 to 1", toNumber],
    loss: [
      "<loss>",
      `terms with weights, "0.1*cross-entropy + 0.9*kd(temperature=4)": ${LOSSES.names.join(", ")} or a module of your own, ./my_loss.mjs`,
    ],
    labelSmoothing: ["<fraction>", "fraction of a label's probability that is spread over all classes", toNumber],
    ema: [
      "<decay>",
      "keep an exponential moving average of the weights and of running statistics, such as 0.999 (default: none)",
      toNumberOrNone,
    ],
    accumulate: ["<number>", "batches whose gradients are averaged before each step", toNumber],
    precision: [
      "<name>",
      "of linear layers', attention's and convolutions' products: float32, or bf16, by AMX or AVX512-BF16 if the processor has it; float32 sums",
    ],
    shards: ["<number>", "equal parts of a batch whose gradients are computed apart", toNumber],
    batchNorm: ["<whose>", "with --shards, whose statistics BatchNorm takes: shard or batch"],
    patience: [
      "<epochs>",
      "early stopping: epochs without improvement on the validation set (default: none)",
      toNumberOrNone,
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
    logFile: ["[file]", `write everything printed to a file too; --resume adds to it (default: ${DEFAULT_LOG_FILE})`],
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

/** The help texts of the flags that turn an option off. */
export const NEGATED: Readonly<Record<string, string | undefined>> = {
  ...Object.fromEntries(Object.entries(LOADING_FLAGS).map(([name, { negated }]) => [name, negated])),
  teacherCache: "run the teacher at each step",
  teacherAnswers: "ask a function at each step, and keep nothing",
  shuffle: "the data's own order each epoch",
  report: "write no report.html",
};
