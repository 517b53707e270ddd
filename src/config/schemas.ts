import * as v from "valibot";
import { SEEDS, SWEEP_DEFAULTS } from "../compare/options.js";
import { distillationSchema, flag, trainingSchema, whole } from "../train/options.js";
import { file, folder, KEEPING, numbers, SIDE_BY_SIDE, SOURCE, TRAINING_DATA } from "./fields.js";

/** Of whether each epoch has an order of its own, the default follows from the data. */
const TRAINING = { ...trainingSchema.entries, shuffle: v.optional(trainingSchema.entries.shuffle.wrapped) };
const { temperature, alpha, teacherMode } = distillationSchema.entries;

const trainTeacherSchema = v.strictObject({
  ...SOURCE,
  ...TRAINING_DATA,
  ...TRAINING,
  ...KEEPING,
  out: folder("runs/teacher"),
});

const distillSchema = v.strictObject({
  ...SOURCE,
  ...TRAINING_DATA,
  ...TRAINING,
  temperature,
  alpha,
  /** The teacher's weights; default, with synthetic data alone: drawn from the seed. */
  teacher: file(),
  /** Default: "train" with synthetic data, as the script has it, else "eval". */
  teacherMode: v.optional(teacherMode.wrapped),
  /** Whether the teacher is asked once for each example; default: where that is exact. */
  teacherCache: v.optional(flag()),
  ...KEEPING,
  out: folder("runs/distill"),
});

const compareSchema = v.strictObject({
  ...SOURCE,
  ...TRAINING_DATA,
  ...TRAINING,
  ...SIDE_BY_SIDE,
  epochs: v.optional(TRAINING.epochs.wrapped, 12),
  temperature,
  alpha,
  /** How many, from `seed` on: each gives a pair of students. */
  seeds: v.optional(whole(1), SEEDS),
  /** The teacher's weights; default: it is trained first. */
  teacher: file(),
  out: folder("runs/compare"),
});

const sweepSchema = v.strictObject({
  ...SOURCE,
  ...TRAINING_DATA,
  ...TRAINING,
  ...SIDE_BY_SIDE,
  epochs: v.optional(TRAINING.epochs.wrapped, 12),
  /** Tried each with each. */
  temperatures: v.optional(numbers(temperature.wrapped), [...SWEEP_DEFAULTS.temperatures]),
  alphas: v.optional(numbers(alpha.wrapped), [...SWEEP_DEFAULTS.alphas]),
  /** The teacher's weights; default: it is trained first. */
  teacher: file(),
  out: folder("runs/sweep"),
});

/** The options of a command that looks at data. */
export const sourceSchema = v.strictObject(SOURCE);

/** The options of each command that can be configured by a file. */
export const SCHEMAS = {
  distill: distillSchema,
  "train-teacher": trainTeacherSchema,
  compare: compareSchema,
  sweep: sweepSchema,
} as const;

/** A command that can be configured by a file. */
export type ConfigName = keyof typeof SCHEMAS;
/** Those of them that train one network. */
export type RunName = "distill" | "train-teacher";
/** The configuration of `distill`: all that a run follows from and leaves; each option may be left out. */
export type DistillConfig = v.InferInput<typeof distillSchema>;
/** The configuration of `train-teacher`. */
export type TrainTeacherConfig = v.InferInput<typeof trainTeacherSchema>;
/** The configuration of `compare`. */
export type CompareConfig = v.InferInput<typeof compareSchema>;
/** The configuration of `sweep`. */
export type SweepConfig = v.InferInput<typeof sweepSchema>;
/** The configuration of a command. */
export type ConfigOf<C extends ConfigName> = v.InferInput<(typeof SCHEMAS)[C]>;
