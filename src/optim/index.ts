import * as v from "valibot";
import {
  boolean,
  defineEntry,
  described,
  type Expression,
  fraction,
  fractionBelow1,
  integer,
  list,
  nonNegative,
  oneOf,
  positive,
  Registry,
  type ResolveOptions,
} from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { Adam } from "./adam.js";
import { AdamW } from "./adamw.js";
import { LRScheduler } from "./lr_scheduler.js";
import { LambdaLR } from "./lr_schedulers.js";
import { OneCycleLR } from "./one_cycle_lr.js";
import { Optimizer } from "./optimizer.js";
import {
  constantSchedule,
  cosineSchedule,
  linearSchedule,
  multiStepSchedule,
  type Schedule,
  stepSchedule,
  warmup,
} from "./schedules.js";
import { SGD } from "./sgd.js";

export { Adam, type AdamGroup, type AdamOptions, type AdamState } from "./adam.js";
export { AdamW } from "./adamw.js";
export { clipGradNorm, clipGradValue } from "./clip_grad_norm.js";
export { ExponentialMovingAverage, type ExponentialMovingAverageOptions } from "./ema.js";
export { LRScheduler, type SchedulerAttribute, type SchedulerStateDict } from "./lr_scheduler.js";
export {
  ConstantLR,
  CosineAnnealingLR,
  ExponentialLR,
  LambdaLR,
  type LambdaLROptions,
  LinearLR,
  type LinearLROptions,
  MultiStepLR,
  StepLR,
} from "./lr_schedulers.js";
export { type OneCycleForm, OneCycleLR, type OneCycleOptions, oneCycleSchedule } from "./one_cycle_lr.js";
export { Optimizer } from "./optimizer.js";
export type { ParamGroup, Params } from "./param_group.js";
export {
  constantSchedule,
  cosineSchedule,
  exponentialSchedule,
  linearSchedule,
  multiStepSchedule,
  type Schedule,
  stepSchedule,
  warmup,
} from "./schedules.js";
export { SGD, type SGDGroup, type SGDOptions } from "./sgd.js";
export type { OptimizerStateDict } from "./state_dict.js";

/** What a run gives an optimizer beside its options. */
export interface OptimizerContext {
  readonly params: readonly Tensor[];
  readonly lr: number;
  readonly weightDecay: number;
}

const ADAM_OPTIONS = {
  betas: described(
    v.optional(v.tuple([fractionBelow1(), fractionBelow1()]), [0.9, 0.999]),
    "decay of the averages of the gradient and of its square",
  ),
  eps: described(v.optional(nonNegative(), 1e-8), "added to the denominator"),
  amsgrad: described(v.optional(boolean(), false), "use the largest average of the square so far"),
};

/** The optimizers that have a name. To add one, add an entry. */
export const OPTIMIZERS = new Registry<Optimizer, OptimizerContext>(
  "optimizer",
  [
    defineEntry({
      name: "adamw",
      help: "Adam with decoupled weight decay",
      options: ADAM_OPTIONS,
      create: (options, { params, lr, weightDecay }: OptimizerContext) =>
        new AdamW(params, { ...options, lr, weightDecay }),
    }),
    defineEntry({
      name: "adam",
      help: "Adam, with weight decay added to the gradient",
      options: ADAM_OPTIONS,
      create: (options, { params, lr, weightDecay }: OptimizerContext) =>
        new Adam(params, { ...options, lr, weightDecay }),
    }),
    defineEntry({
      name: "sgd",
      help: "stochastic gradient descent, with weight decay added to the gradient",
      options: {
        momentum: described(v.optional(nonNegative(), 0), "what of the momentum buffer remains in each step"),
        dampening: described(v.optional(fraction(), 0), "one minus this is what the gradient adds to the buffer"),
        nesterov: described(v.optional(boolean(), false), "look ahead by the momentum"),
      },
      create: (options, { params, lr, weightDecay }: OptimizerContext) =>
        new SGD(params, { ...options, lr, weightDecay }),
    }),
  ],
  {
    expected: "an Optimizer, or a function that returns one",
    accepts: (value): value is Optimizer => value instanceof Optimizer,
  },
);

/** What a run gives a schedule beside its options. */
interface ScheduleContext {
  readonly optimizer: Optimizer;
  readonly epochs: number;
  readonly stepsPerEpoch: number;
}

const warmupSteps = described(v.optional(integer(0), 0), "steps over which the rate rises first");
const gamma = described(v.optional(fraction(), 0.1), "what the rate is multiplied with");

/**
 * The schedules that have a name. Their rates are functions of the step. Lengths that PyTorch's recipes count in epochs,
 * such as milestones, are epochs here, from the beginning of the run. To add one, add an entry.
 */
export const SCHEDULES = new Registry<LRScheduler | Schedule, ScheduleContext>(
  "schedule",
  [
    defineEntry({
      name: "one-cycle",
      help: "up to the learning rate, then down below the start; momentum or beta1 moves the other way",
      options: {
        pctStart: described(v.optional(fraction(), 0.3), "the fraction of the run that rises"),
        annealStrategy: described(v.optional(oneOf(["cos", "linear"]), "cos"), "how the rate moves in each phase"),
        divFactor: described(v.optional(positive(), 20), "the start is the highest rate divided by this"),
        finalDivFactor: described(v.optional(positive(), 100), "the end is the start divided by this"),
        cycleMomentum: described(v.optional(boolean(), true), "whether momentum or beta1 is cycled too"),
      },
      create: (options, { optimizer, epochs, stepsPerEpoch }: ScheduleContext) =>
        new OneCycleLR(optimizer, {
          ...options,
          maxLr: optimizer.paramGroups.map(({ lr }) => lr),
          totalSteps: epochs * stepsPerEpoch,
        }),
    }),
    defineEntry({
      name: "cosine",
      help: "half a cosine from the learning rate down to a fraction of it",
      options: {
        end: described(v.optional(nonNegative(), 0), "the fraction of the learning rate at the end"),
        warmupSteps,
      },
      create: ({ end, warmupSteps }) => warmup(warmupSteps, cosineSchedule({ end })),
    }),
    defineEntry({
      name: "step",
      help: "a factor on the rate, applied at a fixed interval of epochs",
      options: { stepSize: described(v.optional(integer(1), 30), "epochs between two drops"), gamma, warmupSteps },
      create: ({ stepSize, gamma, warmupSteps }, { stepsPerEpoch }: ScheduleContext) =>
        warmedUp(warmupSteps, stepSchedule({ stepSize: stepSize * stepsPerEpoch, gamma })),
    }),
    defineEntry({
      name: "multi-step",
      help: "a factor on the rate at each of the milestones",
      options: { milestones: described(list(integer(1), "a list of epochs"), "epochs"), gamma, warmupSteps },
      create: ({ milestones, gamma, warmupSteps }, { stepsPerEpoch }: ScheduleContext) => {
        const steps = milestones.map((epoch) => epoch * stepsPerEpoch);
        return warmedUp(warmupSteps, multiStepSchedule({ milestones: steps, gamma }));
      },
    }),
    defineEntry({
      name: "exponential",
      help: "a factor on the rate after every epoch",
      options: { gamma: described(fraction(), "what the rate is multiplied with"), warmupSteps },
      create: ({ gamma, warmupSteps }, { stepsPerEpoch }: ScheduleContext) =>
        warmedUp(warmupSteps, stepSchedule({ stepSize: stepsPerEpoch, gamma })),
    }),
    defineEntry({
      name: "linear",
      help: "a straight line between two fractions of the learning rate",
      options: {
        start: described(v.optional(nonNegative(), 1), "the fraction of the learning rate at the start"),
        end: described(v.optional(nonNegative(), 0), "the fraction of the learning rate at the end"),
        warmupSteps,
      },
      create: ({ start, end, warmupSteps }) => warmup(warmupSteps, linearSchedule({ start, end })),
    }),
    defineEntry({
      name: "constant",
      help: "the learning rate all the way",
      options: { warmupSteps },
      create: ({ warmupSteps }) => warmup(warmupSteps, constantSchedule()),
    }),
  ],
  {
    expected: "an LRScheduler or a schedule, or a function that returns one",
    accepts: (value): value is LRScheduler | Schedule => value instanceof LRScheduler || typeof value === "function",
  },
);

/**
 * The scheduler that an expression, or a function of the step, gives in a run.
 *
 * @throws DistilleryError `BAD_ARGUMENT` as {@link Registry.resolve}.
 */
export function createScheduler(
  schedule: Expression | Schedule,
  context: ScheduleContext,
  options: ResolveOptions = {},
): LRScheduler {
  const made = typeof schedule === "function" ? schedule : SCHEDULES.resolve(schedule, context, options);
  if (made instanceof LRScheduler) return made;
  const { optimizer, epochs, stepsPerEpoch } = context;
  return new LambdaLR(optimizer, { schedule: made, totalSteps: epochs * stepsPerEpoch });
}

/** A rise before a schedule whose places are counted from the beginning of the run, and not from the end of the rise. */
function warmedUp(steps: number, schedule: Schedule): Schedule {
  return warmup(steps, (step, rest) => schedule(step + steps, rest + steps));
}
