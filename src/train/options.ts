import * as v from "valibot";
import { KD_DEFAULTS, NO_SOFT_TARGETS } from "../losses/kd_loss.js";
import { temperature } from "../losses/temperature.js";
import type { Optimizer } from "../optim/optimizer.js";
import type { Schedule } from "../optim/schedules.js";
import {
  boolean,
  type Expression,
  expected,
  fraction,
  fractionBelow1,
  type Issue,
  integer,
  issuesError,
  issuesOf,
  nonNegative,
  type ObjectSchema,
  oneOf,
  positive,
} from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { precision } from "./run_precision.js";

/** An expression, or a value that `accepts` accepts. */
const spec = <T>(what: string, accepts: (value: unknown) => boolean) =>
  v.custom<T>(
    (value) => typeof value === "string" || (typeof value === "object" && value !== null) || accepts(value),
    expected(what),
  );

/** Makes an optimizer for a run's parameters: those of the student and of the loss's modules. */
type MakeOptimizer = (params: readonly Tensor[]) => Optimizer;

/** The options of a training run, with the reference script's values as defaults. They are defined only here. */
const TRAINING = {
  epochs: v.optional(integer(1), 150),
  batchSize: v.optional(integer(1), 64),
  /** The highest learning rate of the cycle. */
  lr: v.optional(positive(), 6e-4),
  weightDecay: v.optional(nonNegative(), 1e-5),
  /** For the schedule one-cycle, like the next two: shorthands for the arguments of `schedule`. */
  pctStart: v.optional(fraction()),
  divFactor: v.optional(positive()),
  finalDivFactor: v.optional(positive()),
  /** The norm to which the gradient of the student and the loss's modules together is clipped; null: no clipping. */
  maxGradNorm: v.optional(v.nullable(positive()), 1),
  /** Whether the samples are shuffled in each epoch. */
  shuffle: v.optional(boolean(), true),
  /** Whether a short last batch is left out. */
  dropLast: v.optional(boolean(), false),
  /**
   * A name with arguments, which take precedence over `lr` and `weightDecay`: `"sgd(momentum=0.9)"`. Or a function of
   * the parameters that makes an optimizer, for parameter groups: `() => new AdamW([{ params: head, lr: 1e-3 }, {
   * params: body, lr: 1e-4 }])`.
   */
  optimizer: v.optional(
    spec<Expression | MakeOptimizer>(
      'an optimizer, as "sgd(momentum=0.9)", or a function that returns one',
      (value) => typeof value === "function",
    ),
    "adamw",
  ),
  /** The learning rate schedule: a name, such as `"multi-step(milestones=[60, 80])"`, or a function of the step. */
  schedule: v.optional(
    spec<Expression | Schedule>(
      'a schedule, as "multi-step(milestones=[60, 80])", or a function of the step',
      (value) => typeof value === "function",
    ),
    "one-cycle",
  ),
  /** Steps over which the rate first rises; one-cycle has its own rise. */
  warmupSteps: v.optional(integer(0)),
  /** For the schedule step: epochs between decays. */
  stepSize: v.optional(integer(1)),
  /** For the schedules step, multi-step and exponential: the factor of each decay. */
  gamma: v.optional(nonNegative()),
  /** The fraction of a label's probability that is spread over all classes. */
  labelSmoothing: v.optional(fraction(), 0),
  /** Batches whose gradients are averaged before each step of the optimizer. */
  accumulate: v.optional(integer(1), 1),
  /**
   * Equal parts that each batch is cut into. Each has its own forward and backward pass and random numbers, and their
   * gradients are added in a fixed order. Must divide `batchSize`.
   */
  shards: v.optional(integer(1), 1),
  /**
   * Which statistics normalise a shard in train mode: its own, or those of the whole batch, as without shards
   * (`torch.nn.SyncBatchNorm`).
   */
  batchNorm: v.optional(oneOf(["shard", "batch"]), "shard"),
  /**
   * The precision to which the operands of the products of linear layers, attention and convolutions are rounded, in
   * the student's forward and backward passes and in the teacher's forward pass: "bfloat16" (or "bf16") uses AMX or
   * AVX512-BF16 if the processor has it. Sums, weights, depthwise convolutions, all other operations and evaluations
   * are float32.
   */
  precision: v.optional(precision(), "float32"),
  /**
   * The decay of an exponential moving average of the weights and of BatchNorm's running statistics (`use_buffers=True`
   * in PyTorch), such as 0.999. Validation, the best epoch and the final weights then use the average. Null: none.
   */
  ema: v.optional(v.nullable(fractionBelow1()), null),
  /**
   * Early stopping: the number of epochs without improvement on the validation set after which a run ends; null: never.
   */
  patience: v.optional(v.nullable(integer(1)), null),
} as const;

export const trainingSchema = v.strictObject(TRAINING);
/** Options that distillation adds. */
export const distillationSchema = v.strictObject({
  ...TRAINING,
  temperature: v.optional(temperature(), KD_DEFAULTS.temperature),
  alpha: v.optional(fraction(), KD_DEFAULTS.alpha),
  teacherMode: v.optional(oneOf(["train", "eval"]), "eval"),
});

/** A schema of options. */
type OptionsSchema = typeof trainingSchema | typeof distillationSchema;
/** The options of a schema; each may be left out. */
type OptionsInput<S extends OptionsSchema> = {
  [K in keyof S["entries"]]?: v.InferInput<Extract<S["entries"][K], v.GenericSchema>>;
};
// Interfaces, so that the documentation lists the properties.
/** The options of a training run; each may be left out. */
export interface TrainingOptions extends OptionsInput<typeof trainingSchema> {}
/** The options of a training run with their defaults. */
export interface ResolvedTraining extends v.InferOutput<typeof trainingSchema> {}
/** The options of a distillation; each may be left out. */
export interface DistillationOptions extends OptionsInput<typeof distillationSchema> {}
/** The options of a distillation with their defaults. */
export interface ResolvedDistillation extends v.InferOutput<typeof distillationSchema> {}

/**
 * The options with their defaults. `others` are further names that the call accepts.
 *
 * @throws DistilleryError `BAD_ARGUMENT` that lists every mistake, with the nearest name for an unknown option.
 */
export function resolveOptions<S extends OptionsSchema>(
  schema: S,
  options: object,
  others: readonly string[],
): v.InferOutput<S> {
  const issues = issuesOf(schema as ObjectSchema, options, others).map(withAdvice);
  if (issues.length === 0) return expectShards(v.parse(schema, options));
  throw issuesError(issues);
}

/** How a program writes what is an option on the command line. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  seed: "call manualSeed(seed) before the networks are made",
  threads: "call setNumThreads(threads) before",
  augment: "pass data: augment(dataset, changes)",
  csv: "pass logs: [csvLog(file)]",
  tensorboard: "pass logs: [tensorBoardLog(folder)]",
};

function withAdvice({ path, text }: Issue): Issue {
  const [name = ""] = path;
  const isElsewhere = text === "unknown option" && Object.hasOwn(ELSEWHERE, name);
  return { path, text: isElsewhere ? `${text}: ${ELSEWHERE[name]}` : text };
}

/** The first option of the soft targets that nothing reads, because `alpha` is 0; null if there is none. */
export function softTargetIssue(options: {
  alpha?: number | undefined;
  temperature?: number | undefined;
  calibrateTeacher?: boolean | "both" | undefined;
  /** A cache itself is at hand already. */
  teacherCache?: unknown;
}): Issue | null {
  const { alpha, temperature = KD_DEFAULTS.temperature, calibrateTeacher = false, teacherCache } = options;
  if (alpha !== 0) return null;
  const unread = { temperature: temperature !== KD_DEFAULTS.temperature, calibrateTeacher, teacherCache };
  const given = Object.entries(unread).find(([, value]) => value === true || value === "both");
  return given === undefined ? null : { path: [given[0]], text: NO_SOFT_TARGETS };
}

/** Throws what {@link softTargetIssue} finds. */
export function expectSoftTargets(options: Parameters<typeof softTargetIssue>[0]): void {
  const issue = softTargetIssue(options);
  if (issue !== null) throw issuesError([issue]);
}

/** Options that say how a batch is cut. */
export type ShardOptions = Pick<ResolvedTraining, "batchSize" | "shards" | "batchNorm"> & {
  teacherMode?: ResolvedDistillation["teacherMode"];
};

function expectShards<O extends ShardOptions>(options: O): O {
  const issue = shardIssue(options);
  if (issue === null) return options;
  throw issuesError([issue]);
}

/** The refusal of an option that needs a validation set, in a run without one. */
export const NEEDS_VALIDATION = {
  patience: "needs a validation set, which tells which epoch is better",
  calibrateTeacher: "needs a validation set, on which the temperature is chosen",
};

/** A note on a patience that a run is too short for; null: there is nothing to note. */
export function idlePatience({ epochs, patience }: Pick<ResolvedTraining, "epochs" | "patience">): string | null {
  // The first epoch is the best at first, and the last one ends the run anyway.
  if (patience === null || patience + 1 < epochs) return null;
  return `patience: ${patience} changes nothing: it ends a run after ${patience + 1} epochs at the earliest, and this one has ${epochs}`;
}

/** What is wrong with the shards of a batch; null if nothing is. */
export function shardIssue({ batchSize, shards, batchNorm, teacherMode }: ShardOptions): Issue | null {
  if (batchSize % shards !== 0) {
    return { path: ["shards"], text: `expected a divisor of the batch size (${batchSize}), got ${shards}` };
  }
  if (shards > 1 && batchNorm === "batch" && teacherMode === "train") {
    const text = '"batch" is for the student, and a teacher in train mode has statistics of each shard: use eval mode';
    return { path: ["batchNorm"], text };
  }
  return null;
}
