import * as v from "valibot";
import { show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { KD_DEFAULTS } from "../losses/kd_loss.js";
import type { Schedule } from "../optim/schedules.js";

/** The message of a value that is not what was expected. */
export const expected =
  (what: string) =>
  ({ input }: { input: unknown }) =>
    `expected ${what}, got ${show(input)}`;

export function whole(least: number) {
  const message = expected(`a whole number of at least ${least}`);
  return v.pipe(v.number(message), v.safeInteger(message), v.minValue(least, message));
}

export function above0() {
  const message = expected("a number above 0");
  return v.pipe(v.number(message), v.finite(message), v.gtValue(0, message));
}

export function within(least: number, most: number, what: string) {
  const message = expected(what);
  return v.pipe(v.number(message), v.finite(message), v.minValue(least, message), v.maxValue(most, message));
}

export const share = () => within(0, 1, "a number from 0 to 1");
export const flag = () => v.boolean(expected("true or false"));

/** The courses of the learning rate that have a name. */
export const SCHEDULES = ["one-cycle", "cosine", "step", "constant"] as const;
const badSchedule = expected(`${SCHEDULES.map((name) => `"${name}"`).join(", ")} or a function of the step`);

/** The numbers of a training run, with the script's as defaults: the only place where they stand. */
const TRAINING = {
  epochs: v.optional(whole(1), 150),
  batchSize: v.optional(whole(1), 64),
  /** The highest learning rate of the cycle. */
  lr: v.optional(above0(), 6e-4),
  weightDecay: v.optional(within(0, Number.MAX_VALUE, "a number of at least 0"), 1e-5),
  pctStart: v.optional(share(), 0.3),
  divFactor: v.optional(above0(), 20),
  finalDivFactor: v.optional(above0(), 100),
  maxGradNorm: v.optional(above0(), 1),
  /** Whether each epoch takes the examples in a new random order. */
  shuffle: v.optional(flag(), true),
  /** Whether a last batch that is short is left out. */
  dropLast: v.optional(flag(), false),
  /** How the learning rate moves: one cycle, or a course, by name or as a function of the step, that ends low. */
  schedule: v.optional(
    v.union([v.picklist(SCHEDULES), v.custom<Schedule>((value) => typeof value === "function")], badSchedule),
    "one-cycle",
  ),
  /** Steps over which the rate rises first; the one cycle has a rise of its own. */
  warmupSteps: v.optional(whole(0), 0),
  /** Of the schedule "step": epochs between drops, and what the rate is multiplied with then. */
  stepSize: v.optional(whole(1), 30),
  gamma: v.optional(within(0, 1, "a number from 0 to 1"), 0.1),
  /** The share of a label's probability that goes to all classes alike. */
  labelSmoothing: v.optional(share(), 0),
  /** Epochs without a better one on the validation set after which a run ends; null: all epochs are made. */
  patience: v.optional(v.nullable(whole(1)), null),
} as const;

export const trainingSchema = v.strictObject(TRAINING);
/** What distilling adds. */
export const distillationSchema = v.strictObject({
  ...TRAINING,
  temperature: v.optional(above0(), KD_DEFAULTS.temperature),
  alpha: v.optional(share(), KD_DEFAULTS.alpha),
  teacherMode: v.optional(v.picklist(["train", "eval"], expected('"train" or "eval"')), "eval"),
});

/** A schema of options. */
export type OptionsSchema = typeof trainingSchema | typeof distillationSchema;
/** The options of a schema; each may be left out. */
type Given<S extends OptionsSchema> = {
  [K in keyof S["entries"]]?: v.InferInput<Extract<S["entries"][K], v.GenericSchema>>;
};
/** The same with every default in its place. */
type Settled<S extends OptionsSchema> = {
  [K in keyof S["entries"]]: v.InferOutput<Extract<S["entries"][K], v.GenericSchema>>;
};
// Interfaces, so that the documentation lists them.
/** The options of a training run; each may be left out. */
export interface TrainingOptions extends Given<typeof trainingSchema> {}
/** The same with every default in its place. */
export interface ResolvedTraining extends Settled<typeof trainingSchema> {}
/** The options of a distillation; each may be left out. */
export interface DistillationOptions extends Given<typeof distillationSchema> {}
/** The same with every default in its place. */
export interface ResolvedDistillation extends Settled<typeof distillationSchema> {}

/**
 * The options with defaults in their places. `BAD_ARGUMENT` that lists every mistake, under the name that `nameOf` gives
 * the option.
 */
export function readOptions<S extends OptionsSchema>(
  schema: S,
  options: unknown,
  nameOf: (option: string) => string = (option) => option,
): v.InferOutput<S> {
  const { success, output, issues } = v.safeParse(schema, options);
  if (success) return output;
  const problems = issues.map((issue) => {
    const text = issue.expected === "never" ? "unknown option" : issue.message;
    return `${nameOf(v.getDotPath(issue) ?? "options")}: ${text}`;
  });
  throw new DistilleryError("BAD_ARGUMENT", problems.join("; "));
}

/** The default of one option, as a text. */
export function defaultOf(schema: OptionsSchema, option: string): string | null {
  const field = (schema.entries as Record<string, v.GenericSchema>)[option];
  return field === undefined ? null : String(v.getDefault(field));
}
