import { expectInteger, expectOptions } from "../checks.js";
import { type Expression, Registry, type ResolveOptions } from "../registry/index.js";
import { adamEntry } from "./adam.js";
import { adamwEntry } from "./adamw.js";
import { expectOptimizer, LRScheduler } from "./lr_scheduler.js";
import { LambdaLR } from "./lr_schedulers.js";
import { Optimizer, type OptimizerContext } from "./optimizer.js";
import {
  constantEntry,
  cosineEntry,
  cosineRestartsEntry,
  exponentialEntry,
  linearEntry,
  multiStepEntry,
  oneCycleEntry,
  polynomialEntry,
  type ScheduleContext,
  stepEntry,
} from "./schedule_entries.js";
import type { Schedule } from "./schedules.js";
import { sgdEntry } from "./sgd.js";

export { Adam, type AdamGroup, type AdamOptions, type AdamState } from "./adam.js";
export { AdamW } from "./adamw.js";
export { clipGradNorm, clipGradValue } from "./clip_grad_norm.js";
export { CosineAnnealingWarmRestarts, type WarmRestartsOptions } from "./cosine_annealing_warm_restarts.js";
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
  PolynomialLR,
  type PolynomialLROptions,
  StepLR,
} from "./lr_schedulers.js";
export { type OneCycleForm, OneCycleLR, type OneCycleOptions, oneCycleSchedule } from "./one_cycle_lr.js";
export { Optimizer, type OptimizerContext } from "./optimizer.js";
export type { ParamGroup, Params } from "./param_group.js";
export { ReduceLROnPlateau, type ReduceLROnPlateauOptions } from "./reduce_lr_on_plateau.js";
export type { ScheduleContext } from "./schedule_entries.js";
export {
  constantSchedule,
  cosineRestartsSchedule,
  cosineSchedule,
  exponentialSchedule,
  linearSchedule,
  multiStepSchedule,
  polynomialSchedule,
  type Schedule,
  stepSchedule,
  warmup,
} from "./schedules.js";
export { SequentialLR, type SequentialLROptions } from "./sequential_lr.js";
export { SGD, type SGDGroup, type SGDOptions } from "./sgd.js";
export type { OptimizerStateDict } from "./state_dict.js";

/** The optimizers that have a name: to add one, write its file and add its entry here. */
export const OPTIMIZERS = new Registry<Optimizer, OptimizerContext>("optimizer", [adamwEntry, adamEntry, sgdEntry], {
  expected: "an Optimizer, or a function that returns one",
  accepts: (value): value is Optimizer => value instanceof Optimizer,
});

/**
 * The schedules that have a name. Their rates are functions of the step. Lengths that PyTorch's recipes count in
 * epochs, such as milestones, are epochs here, from the beginning of the run. To add one, write its entry and add it
 * here.
 */
export const SCHEDULES = new Registry<LRScheduler | Schedule, ScheduleContext>(
  "schedule",
  [
    oneCycleEntry,
    cosineEntry,
    cosineRestartsEntry,
    stepEntry,
    multiStepEntry,
    exponentialEntry,
    linearEntry,
    polynomialEntry,
    constantEntry,
  ],
  {
    expected: "an LRScheduler or a schedule, or a function that returns one",
    accepts: (value): value is LRScheduler | Schedule => value instanceof LRScheduler || typeof value === "function",
  },
);

/**
 * The scheduler that an expression, or a function of the step, gives in a run.
 *
 * @throws DistilleryError `BAD_ARGUMENT` that names what came, what was expected and the nearest name.
 * @example
 * ```ts
 * const scheduler = createScheduler("cosine", { optimizer, epochs: 12, stepsPerEpoch: loader.length });
 * ```
 */
export function createScheduler(
  schedule: Expression | Schedule,
  context: ScheduleContext,
  options: ResolveOptions = {},
): LRScheduler {
  expectOptions("createScheduler", options, ["modules", "argument"]);
  expectOptions("context", context, ["optimizer", "epochs", "stepsPerEpoch"]);
  expectOptimizer(context.optimizer);
  expectInteger("context.epochs", context.epochs, 1);
  expectInteger("context.stepsPerEpoch", context.stepsPerEpoch, 1);
  const made = typeof schedule === "function" ? schedule : SCHEDULES.resolve(schedule, context, options);
  if (made instanceof LRScheduler) return made;
  const { optimizer, epochs, stepsPerEpoch } = context;
  return new LambdaLR(optimizer, { schedule: made, totalSteps: epochs * stepsPerEpoch });
}
