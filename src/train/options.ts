import { z } from "zod";
import { show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { KD_DEFAULTS } from "../losses/kd_loss.js";

/** The message of a value that is not what was expected. */
const expected = (what: string) => ({
  error: ({ input }: { input?: unknown }) => `expected ${what}, got ${show(input)}`,
});
const whole = (least: number) => {
  const message = expected(`a whole number of at least ${least}`);
  return z.int(message).min(least, message);
};
const above0 = () => z.number(expected("a number above 0")).positive(expected("a number above 0"));
const atLeast0 = () => z.number(expected("a number of at least 0")).min(0, expected("a number of at least 0"));
const share = () => {
  const message = expected("a number from 0 to 1");
  return z.number(message).min(0, message).max(1, message);
};
const flag = () => z.boolean(expected("true or false"));

/** The numbers of a training run, with the script's as defaults: the only place where they stand. */
export const TRAINING = {
  epochs: whole(1).default(150),
  batchSize: whole(1).default(64),
  /** The highest learning rate of the cycle. */
  lr: above0().default(6e-4),
  weightDecay: atLeast0().default(1e-5),
  pctStart: share().default(0.3),
  divFactor: above0().default(20),
  finalDivFactor: above0().default(100),
  maxGradNorm: above0().default(1),
  /** Whether each epoch takes the examples in a new random order. */
  shuffle: flag().default(true),
  /** Whether a last batch that is short is left out. */
  dropLast: flag().default(false),
} as const;

/** What distilling adds. */
export const DISTILLATION = {
  ...TRAINING,
  temperature: above0().default(KD_DEFAULTS.temperature),
  alpha: share().default(KD_DEFAULTS.alpha),
  teacherMode: z.enum(["train", "eval"], expected('"train" or "eval"')).default("eval"),
} as const;

export const trainingSchema = z.strictObject(TRAINING);
export const distillationSchema = z.strictObject(DISTILLATION);

/** The options of a training run; each may be left out. */
export type TrainingOptions = z.input<typeof trainingSchema>;
/** The same with every default in its place. */
export type ResolvedTraining = z.output<typeof trainingSchema>;
/** The options of a distillation; each may be left out. */
export type DistillationOptions = z.input<typeof distillationSchema>;

/**
 * The options with defaults in their places. `BAD_ARGUMENT` that lists every mistake, under the name that `nameOf` gives
 * the option.
 */
export function readOptions<S extends z.ZodType>(
  schema: S,
  options: unknown,
  nameOf: (option: string) => string = (option) => option,
): z.output<S> {
  const result = schema.safeParse(options);
  if (result.success) return result.data;
  const problems = result.error.issues.flatMap((issue) =>
    issue.code === "unrecognized_keys"
      ? issue.keys.map((key) => `${nameOf(key)}: unknown option`)
      : `${nameOf(issue.path.join("."))}: ${issue.message}`,
  );
  throw new DistilleryError("BAD_ARGUMENT", problems.join("; "));
}
