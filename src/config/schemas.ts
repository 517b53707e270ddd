import * as v from "valibot";
import { KEPT_BY_TRIALS, MAX_SEEDS, SEEDS, SWEEP_DEFAULTS } from "../compare/options.js";
import { MAX_MIXUP } from "../data/augment.js";
import { loadSchema } from "../data/load_options.js";
import { LOSSES } from "../losses/index.js";
import { AVERAGES } from "../models/ensemble.js";
import { MODELS } from "../models/index.js";
import { OPTIMIZERS } from "../optim/index.js";
import {
  boolean,
  expected,
  fraction,
  fractionAbove0,
  fractionBelow1,
  integer,
  length,
  list,
  nonNegative,
  oneOf,
  path,
  positive,
  range,
  text,
} from "../registry/index.js";
import { teacherSchema } from "../teachers/options.js";
import { MAX_THREADS } from "../threads.js";
import { KEPT_CHECKPOINTS } from "../train/controls.js";
import { MUTUAL_LOSS } from "../train/mutual.js";
import { distillationSchema, trainingSchema } from "../train/options.js";

import {
  CHAIN,
  type CheckpointEvery,
  files,
  folder,
  named,
  pathOrFlag,
  STEPS,
  schedule,
  upTo,
} from "./option_values.js";

/** The data, how they are read, what is held out for testing, and the random stream. */
const DATA = {
  /** `synthetic`, the name of a built-in data set, a folder or a file. */
  data: v.optional(path("a data set's name, folder or file"), "synthetic"),
  ...loadSchema.entries,
  seed: v.optional(integer(0), 0),
  /** Default: the cores. */
  threads: v.optional(upTo(MAX_THREADS)),
  /** Allows more threads than cores, which only slows a run down. */
  forceThreads: v.optional(boolean(), false),
} as const;

/** How training data are split and augmented. */
const TRAINING_DATA = {
  /** The fraction that is held out for validation, 0 for none; default: 0.1, and 0 for synthetic data. */
  validation: v.optional(fractionBelow1()),
  /** Random changes of the images. */
  augment: v.optional(
    v.strictObject(
      {
        /** Shifts by up to this many pixels in any direction. */
        shift: v.optional(integer(0)),
        /** The probability of a flip from left to right. */
        flip: v.optional(fraction()),
        /** Pads by this many pixels and crops to the old size at random. */
        crop: v.optional(integer(0)),
        /** The standard deviation of normal noise. */
        noise: v.optional(nonNegative()),
        /** Samples are mixed with each other by a weight of Beta(mixup, mixup). */
        mixup: v.optional(range(0, MAX_MIXUP, `a number from 0 to ${MAX_MIXUP}`)),
      },
      expected("shift, flip, crop, noise and mixup by their names"),
    ),
  ),
} as const;

/** What a run writes, and where. */
const OUTPUT = {
  /** Epochs between checkpoints, or `{ steps }`; default: every epoch, but at most one a second. */
  checkpointEvery: v.optional(v.lazy((value) => (typeof value === "object" ? STEPS : integer(1)) as CheckpointEvery)),
  keepCheckpoints: v.optional(integer(0), KEPT_CHECKPOINTS),
  /** TensorBoard's event files: in this folder, or in the run's. */
  tensorboard: v.optional(pathOrFlag("a folder"), false),
  /** The metrics as a table: in this file, or in the run's folder. */
  csv: v.optional(pathOrFlag("a file"), false),
  /** Whether `report.html` is written. */
  report: v.optional(boolean(), true),
  /** Everything printed goes to this file too, or to the default one. */
  logFile: v.optional(pathOrFlag("a file"), false),
} as const;

/** What an experiment of several runs writes, and how they run. */
const EXPERIMENT = {
  /** How many runs train at once, each in its own process; default: as many as `threads`. */
  parallel: v.optional(upTo(MAX_THREADS)),
  /** How many checkpoints each run keeps; 0: none that has the optimizer's state. */
  keepCheckpoints: v.optional(integer(0), KEPT_BY_TRIALS),
  report: OUTPUT.report,
  logFile: OUTPUT.logFile,
} as const;

/** The options of training. By default it depends on the data whether epochs are shuffled. */
const TRAINING = {
  ...trainingSchema.entries,
  shuffle: v.optional(trainingSchema.entries.shuffle.wrapped),
  optimizer: v.optional(named(OPTIMIZERS, { isShort: true }), trainingSchema.entries.optimizer.default),
  schedule: v.optional(schedule, trainingSchema.entries.schedule.default),
};
const { temperature, alpha, teacherMode } = distillationSchema.entries;

/** What a student is trained with; default: the loss of `temperature` and `alpha`. */
const LOSS = v.optional(named(LOSSES, { sum: true }));

/** The networks of a distillation. */
const NETWORKS = {
  /** The network that is trained; default: the student of the reference script. */
  student: v.optional(named(MODELS), "student"),
  /** The teacher's network, needed only if its file does not name one; default: the reference script's teacher. */
  teacherNetwork: v.optional(named(MODELS), "teacher"),
} as const;

/** The teacher of a distillation. */
const TEACHER = {
  /** The teacher's weights, or those of several, whose logits are averaged; default: see the commands. */
  teacher: files(),
  /** What is averaged of several teachers; default: the logits. */
  average: v.optional(oneOf(AVERAGES)),
  /** The weights of several teachers, in their order; default: equal weights. */
  teacherWeights: v.optional(list(positive(), "a list of numbers above 0")),
  /** Whether each of several teachers is also weighted by its confidence in a sample; default false. */
  teacherConfidence: v.optional(boolean()),
} as const;

/** The options of a teacher from elsewhere. */
const EXTERNAL_TEACHER = {
  ...teacherSchema.entries,
  /** The column of a table that has the teacher's logits, a number for each class in a cell. */
  teacherColumn: v.optional(text("a column's name")),
  /** Whether the teacher's logits are scaled to fit the validation set; default: they are as they are. */
  calibrateTeacher: v.optional(v.boolean(expected('true or false ("both" in compare alone)'))),
} as const;

/** Weights that the trained network starts from; default: drawn from the seed. */
const FROM = v.optional(path("a file"));

const trainTeacherSchema = v.strictObject({
  ...DATA,
  ...TRAINING_DATA,
  teacherNetwork: NETWORKS.teacherNetwork,
  from: FROM,
  ...TRAINING,
  /** A loss that needs no teacher; default: cross-entropy. */
  loss: LOSS,
  ...OUTPUT,
  out: folder("runs/teacher"),
});

const distillSchema = v.strictObject({
  ...DATA,
  ...TRAINING_DATA,
  ...NETWORKS,
  from: FROM,
  ...TRAINING,
  temperature,
  alpha,
  loss: LOSS,
  /** For the task `vectors`: the student's dimensions; default: those of the targets. */
  dimensions: v.optional(length()),
  /** By default there is none, or with synthetic data one that is drawn from the seed. */
  ...TEACHER,
  ...EXTERNAL_TEACHER,
  /** Default: "train" with synthetic data, as in the reference script, else "eval". */
  teacherMode: v.optional(teacherMode.wrapped),
  /** Students, each distilled from the one before: `"mlp(hidden=[64]) -> mlp(hidden=[16])"`, or a list. */
  chain: v.optional(CHAIN),
  /** Students of the same network, each distilled from the one before. */
  generations: v.optional(integer(1)),
  /** Whether the teacher's logits are cached; default: if that is exact. */
  teacherCache: v.optional(boolean()),
  ...OUTPUT,
  out: folder("runs/distill"),
});

const STUDENTS = "two networks or more (--student for each, in a file or a program a list)";

const mutualSchema = v.strictObject({
  ...DATA,
  ...TRAINING_DATA,
  /** The networks that are trained, two or more. */
  student: v.optional(v.pipe(list(named(MODELS), STUDENTS), v.minLength(2, expected(STUDENTS))), [
    "student",
    "student",
  ]),
  ...TRAINING,
  /** What each student learns with from each other one. */
  loss: v.optional(named(LOSSES, { sum: true }), MUTUAL_LOSS),
  ...OUTPUT,
  out: folder("runs/mutual"),
});

const compareSchema = v.strictObject({
  ...DATA,
  ...TRAINING_DATA,
  ...NETWORKS,
  ...TRAINING,
  ...EXPERIMENT,
  epochs: v.optional(TRAINING.epochs.wrapped, 12),
  temperature,
  alpha,
  loss: LOSS,
  /** Losses to set side by side, instead of one. */
  losses: v.optional(list(named(LOSSES, { sum: true, isShort: true }), "a list of losses")),
  /** Parts of the training data that students are trained on too. */
  fractions: v.optional(list(fractionAbove0(), "a list of fractions")),
  /** How many seeds, from `seed` on: each gives a pair of students. */
  seeds: v.optional(integer(1, MAX_SEEDS), SEEDS),
  /** Default: it is trained first. */
  ...TEACHER,
  ...EXTERNAL_TEACHER,
  /**
   * Whether the teacher's logits are scaled to fit the validation set, or students of both are compared; default: they
   * are as they are.
   */
  calibrateTeacher: v.optional(v.union([v.boolean(), v.literal("both")], expected('true, false or "both"'))),
  out: folder("runs/compare"),
});

const sweepSchema = v.strictObject({
  ...DATA,
  ...TRAINING_DATA,
  ...NETWORKS,
  ...TRAINING,
  ...EXPERIMENT,
  epochs: v.optional(TRAINING.epochs.wrapped, 12),
  /** Its terms get each temperature and alpha of the lists. */
  loss: LOSS,
  /** Each is tried with each alpha. */
  temperatures: v.optional(list(temperature.wrapped, "a list of numbers"), SWEEP_DEFAULTS.temperatures),
  alphas: v.optional(list(alpha.wrapped, "a list of numbers"), SWEEP_DEFAULTS.alphas),
  /** How many seeds, from `seed` on: each gives a student of every point. */
  seeds: v.optional(integer(1, MAX_SEEDS), SWEEP_DEFAULTS.seeds),
  /** Default: it is trained first. */
  ...TEACHER,
  ...EXTERNAL_TEACHER,
  out: folder("runs/sweep"),
});

/** The options of a command that reads data and has no configuration file. */
export const dataSchema = v.strictObject(DATA);

/** The options of `serve`, beside those of the server itself. */
export const serveSchema = v.strictObject({
  imageSize: DATA.imageSize,
  threads: DATA.threads,
  forceThreads: DATA.forceThreads,
});

/** The options of `evaluate`. */
export const evaluateSchema = v.strictObject({
  ...DATA,
  ...TEACHER,
  ...teacherSchema.entries,
  teacherColumn: EXTERNAL_TEACHER.teacherColumn,
});

/** The options of each command that can be configured by a file. */
export const SCHEMAS = {
  distill: distillSchema,
  "train-teacher": trainTeacherSchema,
  mutual: mutualSchema,
  compare: compareSchema,
  sweep: sweepSchema,
} as const;

/** Options whose values name something of a registry, and so may name a module of the user's own. */
export const EXPRESSION_OPTIONS = ["student", "teacherNetwork", "loss", "losses", "optimizer", "schedule"] as const;

/** Options that decide a run's data; a resumed run must have the same. */
export const DATA_OPTIONS: ReadonlySet<string> = new Set(Object.keys({ ...DATA, ...TRAINING_DATA }));

/** Options that decide how several teachers become one. */
export const AVERAGE_OPTIONS = ["average", "teacherWeights", "teacherConfidence"] as const;

/** Options that decide where and how a run is written and executed, and none of its numbers. */
export const OUTPUT_OPTIONS: ReadonlySet<string> = new Set([
  "out",
  "threads",
  "forceThreads",
  ...Object.keys({ ...OUTPUT, ...EXPERIMENT }),
]);

/** A command that can be configured by a file. */
export type ConfigName = keyof typeof SCHEMAS;
/** The configurations of a single run. */
export type RunName = "distill" | "train-teacher" | "mutual";
/**
 * The configuration of `distill`: everything that a run's numbers and files follow from; each option may be left out.
 */
export type DistillConfig = v.InferInput<typeof distillSchema>;
/** The configuration of `train-teacher`. */
export type TrainTeacherConfig = v.InferInput<typeof trainTeacherSchema>;
/** The configuration of `mutual`. */
export type MutualConfig = v.InferInput<typeof mutualSchema>;
/** The configuration of `compare`. */
export type CompareConfig = v.InferInput<typeof compareSchema>;
/** The configuration of `sweep`. */
export type SweepConfig = v.InferInput<typeof sweepSchema>;
/** The configuration of a command. */
export type ConfigOf<C extends ConfigName> = v.InferInput<(typeof SCHEMAS)[C]>;
