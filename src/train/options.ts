import * as v from "valibot";
import { DistilleryError } from "../errors.js";
import { KD_DEFAULTS } from "../losses/index.js";
import type { Schedule } from "../optim/schedules.js";
import {
  boolean,
  expected,
  fraction,
  integer,
  issuesOf,
  nonNegative,
  type ObjectSchema,
  oneOf,
  positive,
} from "../registry/index.js";

/** The schedules of the learning rate that have a name. */
export const SCHEDULES = ["one-cycle", "cosine", "step", "constant"] as const;
const badSchedule = expected(`${SCHEDULES.map((name) => `"${name}"`).join(", ")} or a function of the step`);

/** The options of a training run, with the reference script's values as defaults: the only place that has them. */
const TRAINING = {
  epochs: v.optional(integer(1), 150),
  batchSize: v.optional(integer(1), 64),
  /** The highest learning rate of the cycle. */
  lr: v.optional(positive(), 6e-4),
  weightDecay: v.optional(nonNegative(), 1e-5),
  pctStart: v.optional(fraction(), 0.3),
  divFactor: v.optional(positive(), 20),
  finalDivFactor: v.optional(positive(), 100),
  maxGradNorm: v.optional(positive(), 1),
  /** Whether each epoch takes the samples in a new random order. */
  shuffle: v.optional(boolean(), true),
  /** Whether a last batch that is short is left out. */
  dropLast: v.optional(boolean(), false),
  /** The learning rate's schedule: one cycle, or another by its name or as a function of the step. */
  schedule: v.optional(
    v.union([v.picklist(SCHEDULES), v.custom<Schedule>((value) => typeof value === "function")], badSchedule),
    "one-cycle",
  ),
  /** Steps over which the rate rises first; one-cycle has a rise of its own. */
  warmupSteps: v.optional(integer(0), 0),
  /** For the schedule "step": epochs between decays, and the factor of each. */
  stepSize: v.optional(integer(1), 30),
  gamma: v.optional(fraction(), 0.1),
  /** The fraction of a label's probability that is spread over all classes. */
  labelSmoothing: v.optional(fraction(), 0),
  /** Batches whose gradients are averaged before each step of the optimizer. */
  accumulate: v.optional(integer(1), 1),
  /** Early stopping: epochs without improvement on the validation set after which a run ends; null: never. */
  patience: v.optional(v.nullable(integer(1)), null),
} as const;

export const trainingSchema = v.strictObject(TRAINING);
/** What distillation adds. */
export const distillationSchema = v.strictObject({
  ...TRAINING,
  temperature: v.optional(positive(), KD_DEFAULTS.temperature),
  alpha: v.optional(fraction(), KD_DEFAULTS.alpha),
  teacherMode: v.optional(oneOf(["train", "eval"]), "eval"),
});

/** A schema of options. */
export type OptionsSchema = typeof trainingSchema | typeof distillationSchema;
/** The options of a schema; each may be left out. */
type OptionsInput<S extends OptionsSchema> = {
  [K in keyof S["entries"]]?: v.InferInput<Extract<S["entries"][K], v.GenericSchema>>;
};
/** The options of a schema with their defaults. */
type ResolvedOptions<S extends OptionsSchema> = {
  [K in keyof S["entries"]]: v.InferOutput<Extract<S["entries"][K], v.GenericSchema>>;
};
// Interfaces, so that the documentation lists them.
/** The options of a training run; each may be left out. */
export interface TrainingOptions extends OptionsInput<typeof trainingSchema> {}
/** The options of a training run with their defaults. */
export interface ResolvedTraining extends ResolvedOptions<typeof trainingSchema> {}
/** The options of a distillation; each may be left out. */
export interface DistillationOptions extends OptionsInput<typeof distillationSchema> {}
/** The options of a distillation with their defaults. */
export interface ResolvedDistillation extends ResolvedOptions<typeof distillationSchema> {}

/**
 * The options with their defaults.
 *
 * @throws DistilleryError `BAD_ARGUMENT` that lists every mistake, with the nearest name for an unknown option.
 */
export function resolveOptions<S extends OptionsSchema>(schema: S, options: object): v.InferOutput<S> {
  const issues = issuesOf(schema as ObjectSchema, options);
  if (issues.length === 0) return v.parse(schema, options);
  const texts = issues.map(({ path, text }) => `${path.join(".") || "options"}: ${text}`);
  throw new DistilleryError("BAD_ARGUMENT", texts.join("; "));
}
