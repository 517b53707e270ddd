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
  "teacher weights, .pth or .safetensors, or logits by sample, .npy, .npz or .safetensors, an ONNX network, or your own function, ./teacher.mjs; repeat it for several teachers, which are averaged";

/** The help of `--image-size` for a network whose file does not state the size. */
export const PTH_IMAGE_SIZE = "pixels of the images that a .pth file's network is for, such as 32 or 32x48";

/** Help texts of a command that refuses the synthetic data. */
export const REAL_DATA = {
  data: `${DATASET_NAMES.join(", ")}; or ${FORMATS_HELP} (required)`,
  validation: "fraction of the training data to choose epochs by (default: 0.1)",
  shuffle: "shuffle the samples in each epoch (default: true)",
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
      "random changes: for images shift=2,flip=0.5 or crop=4 (pixels); for any samples noise=0.1,mixup=1",
      toChanges,
    ],
  },
  "Networks:": {
    student: [NETWORK, `network to train: ${MODELS.names.join(", ")} or your own class, ${OWN}`, toList],
    teacherNetwork: [NETWORK, "network of the teacher, if its file does not name it"],
    dimensions: [
      "<number>",
      "with --task vectors: length of the student's vectors; if it differs from the targets', add --loss \"vector-kd(projection=true)\", whose projection is trained beside the student and dropped at the end (default: the targets')",
      toNumber,
    ],
    from: ["<file>", "weights that training starts from (default: drawn from the seed)"],
    teacher: ["<file>", TEACHER_TEXT, toList],
    average: [
      "<what>",
      `what to average for several teachers: ${AVERAGES.join(" or ")} (default: ${AVERAGE_DEFAULTS.average})`,
    ],
    teacherWeights: ["<list>", "weights of several teachers, in their order, as 2,1 (default: equal)", toNumbers],
    teacherConfidence: ["", "also weight each of several teachers by its highest probability for the sample"],
    teacherClasses: ["<names>", "the classes in the order of the teacher's outputs, a,b,c", toTexts],
    chain: [
      "<networks>",
      'students, each distilled from the previous one, "mlp(hidden=[256]) -> mlp(hidden=[64])"; the first is distilled from --teacher or, without it, trained on the labels',
    ],
    generations: [
      "<number>",
      "students of the same network, each distilled from the previous one; the first from --teacher or, without it, from generation 0, which is trained on the labels",
      toNumber,
    ],
    teacherColumn: ["<name>", "column of a table with the teacher's logits, a cell such as [0.1, 2.5, -1]"],
    teacherInput: ["<name>", "input of an ONNX teacher (default: the one that samples fit)"],
    teacherOutput: ["<name>", "output of an ONNX teacher (default: the one with a number for each class)"],
    teacherMean: [
      "<list>",
      "mean to subtract from pixels / 255, or from a table's numbers, for an ONNX teacher, as 0.485,0.456,0.406 (default: as for the student)",
      toNumbers,
    ],
    teacherStd: ["<list>", "standard deviation to divide by for an ONNX teacher, as 0.229,0.224,0.225", toNumbers],
    teacherSize: ["<pixels>", "resize images for an ONNX teacher, such as 224 or 48x64", toSides],
    teacherConcurrency: [
      "<number>",
      `concurrent calls of a function (default: ${FUNCTION_DEFAULTS.concurrency})`,
      toNumber,
    ],
    teacherRetries: [
      "<number>",
      `times to repeat a failed call of a function (default: ${FUNCTION_DEFAULTS.retries} if the error asks for it)`,
      toNumber,
    ],
    teacherBatch: ["<number>", `samples per call of a function (default: ${FUNCTION_DEFAULTS.batchSize})`, toNumber],
    teacherAnswers: ["<folder>", "folder for the answers of a function (default: in the run's folder)"],
    teacherMode: ["<mode>", "train or eval (default: train for synthetic data, as in the reference script, else eval)"],
    calibrateTeacher: ["", "divide the teacher's logits by the temperature that fits the validation set best"],
    teacherCache: ["", "cache teacher logits (default: if that is exact)"],
  },
  "Experiment:": {
    losses: ["<list>", 'losses to compare, instead of --loss: "kd, dkd(warmup=20), kd + rkd"', splitExpressions],
    fractions: [
      "<list>",
      "fractions of the training data on which to train pairs of students too, 0.03,0.1,0.3,1: a data-size curve",
      toNumbers,
    ],
    seeds: ["<number>", "number of seeds, starting at --seed", toNumber],
    temperatures: ["<list>", "temperatures; each is tried with each alpha", toNumbers],
    alphas: ["<list>", "weights of the soft targets, from 0 to 1", toNumbers],
    parallel: ["<number>", "runs trained at once, each in its own process (default: as many as --threads)", toNumber],
  },
  "Training:": {
    epochs: ["<number>", "passes over the training data", toNumber],
    batchSize: ["<number>", "samples per step", toNumber],
    shuffle: ["", "shuffle the samples in each epoch (default: true, except for synthetic data)"],
    dropLast: ["", "leave out a last, short batch"],
    lr: ["<number>", "highest learning rate", toNumber],
    optimizer: [
      "<name>",
      `${OPTIMIZERS.names.join(", ")}; with arguments as "sgd(momentum=0.9)"; or your own module, ./two_rates.mjs`,
    ],
    schedule: [
      "<name>",
      `learning rate schedule: ${SCHEDULES.names.join(", ")}; with arguments as "cosine(end=0.1)"; or your own module, ./rate.mjs`,
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
    maxGradNorm: ["<number>", "clip the gradient to this norm; none: no clipping", toNumberOrNone],
    temperature: ["<number>", "divides both networks' logits", toNumber],
    alpha: ["<fraction>", "weight of the soft targets, from 0 to 1", toNumber],
    loss: [
      "<loss>",
      `terms with weights, "0.1*cross-entropy + 0.9*kd(temperature=4)": ${LOSSES.names.join(", ")} or your own module, ./my_loss.mjs`,
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
      "precision of the products of linear layers, attention and convolutions: float32, or bf16, with AMX or AVX512-BF16 if the processor has it; sums are float32",
    ],
    shards: ["<number>", "equal parts of a batch whose gradients are computed separately", toNumber],
    batchNorm: ["<whose>", "with --shards, the statistics that BatchNorm uses: those of the shard or of the batch"],
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
      "checkpoints kept, including the newest; 0: none with the optimizer's state once the run has finished",
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
    forceThreads: ["", "allow more threads than cores"],
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
  teacherAnswers: "call a function at each step, and store no answers",
  shuffle: "keep the order of the data in each epoch",
  report: "write no report.html",
};
