import * as v from "valibot";
import {
  boolean,
  defineEntry,
  described,
  fraction,
  integer,
  list,
  nonNegative,
  oneOf,
  positive,
} from "../registry/index.js";
import type { LRScheduler } from "./lr_scheduler.js";
import { ConstantLR } from "./lr_schedulers.js";
import { ONE_CYCLE_DEFAULTS, OneCycleLR } from "./one_cycle_lr.js";
import type { Optimizer } from "./optimizer.js";
import {
  COSINE_DEFAULTS,
  constantSchedule,
  cosineRestartsSchedule,
  cosineSchedule,
  GAMMA,
  LINEAR_DEFAULTS,
  linearSchedule,
  multiStepSchedule,
  POLYNOMIAL_DEFAULTS,
  polynomialSchedule,
  RESTARTS_DEFAULTS,
  type Schedule,
  stepSchedule,
  warmup,
} from "./schedules.js";

/** What a run gives a schedule beside its options. */
export interface ScheduleContext {
  readonly optimizer: Optimizer;
  readonly epochs: number;
  readonly stepsPerEpoch: number;
}

const warmupSteps = described(v.optional(integer(0), 0), "steps over which the rate rises first");
const gamma = described(v.optional(nonNegative(), GAMMA), "what the rate is multiplied with");

const { pctStart, annealStrategy, divFactor, finalDivFactor, threePhase, cycleMomentum } = ONE_CYCLE_DEFAULTS;

/** `one-cycle` in expressions: its two factors are the reference script's. */
export const oneCycleEntry = defineEntry({
  name: "one-cycle",
  help: "up to the learning rate, then down below the start; momentum or beta1 moves the other way",
  options: {
    pctStart: described(v.optional(fraction(), pctStart), "the fraction of the run that rises"),
    annealStrategy: described(v.optional(oneOf(["cos", "linear"]), annealStrategy), "how the rate moves in each phase"),
    divFactor: described(
      v.optional(positive(), 20),
      `the start is the highest rate divided by this (the reference script's; PyTorch's is ${divFactor})`,
    ),
    finalDivFactor: described(
      v.optional(positive(), 100),
      `the end is the start divided by this (the reference script's; PyTorch's is ${finalDivFactor})`,
    ),
    threePhase: described(
      v.optional(boolean(), threePhase),
      "whether the rate falls to the start as fast as it rose, and only then to the end",
    ),
    cycleMomentum: described(v.optional(boolean(), cycleMomentum), "whether momentum or beta1 is cycled too"),
  },
  create: (options, { optimizer, epochs, stepsPerEpoch }: ScheduleContext): LRScheduler =>
    new OneCycleLR(optimizer, {
      ...options,
      maxLr: optimizer.paramGroups.map(({ lr }) => lr),
      totalSteps: epochs * stepsPerEpoch,
    }),
});

/** `cosine` in expressions. */
export const cosineEntry = defineEntry({
  name: "cosine",
  help: "half a cosine from the learning rate down to a fraction of it",
  options: {
    end: described(v.optional(nonNegative(), COSINE_DEFAULTS.end), "the fraction of the learning rate at the end"),
    warmupSteps,
  },
  create: ({ end, warmupSteps }): Schedule => warmup(warmupSteps, cosineSchedule({ end })),
});

/** `step` in expressions. */
export const stepEntry = defineEntry({
  name: "step",
  help: "a factor on the rate, applied at a fixed interval of epochs",
  options: { stepSize: described(v.optional(integer(1), 30), "epochs between two drops"), gamma, warmupSteps },
  create: ({ stepSize, gamma, warmupSteps }, { stepsPerEpoch }: ScheduleContext): Schedule =>
    warmedUp(warmupSteps, stepSchedule({ stepSize: stepSize * stepsPerEpoch, gamma })),
});

/** `multi-step` in expressions. */
export const multiStepEntry = defineEntry({
  name: "multi-step",
  help: "a factor on the rate at each of the milestones",
  options: { milestones: described(list(integer(1), "a list of epochs"), "epochs"), gamma, warmupSteps },
  create: ({ milestones, gamma, warmupSteps }, { stepsPerEpoch }: ScheduleContext): Schedule => {
    const steps = milestones.map((epoch) => epoch * stepsPerEpoch);
    return warmedUp(warmupSteps, multiStepSchedule({ milestones: steps, gamma }));
  },
});

/** `exponential` in expressions. */
export const exponentialEntry = defineEntry({
  name: "exponential",
  help: "a factor on the rate after every epoch",
  options: { gamma: described(nonNegative(), "what the rate is multiplied with"), warmupSteps },
  create: ({ gamma, warmupSteps }, { stepsPerEpoch }: ScheduleContext): Schedule =>
    warmedUp(warmupSteps, stepSchedule({ stepSize: stepsPerEpoch, gamma })),
});

/** `linear` in expressions. */
export const linearEntry = defineEntry({
  name: "linear",
  help: "a straight line between two fractions of the learning rate",
  options: {
    start: described(
      v.optional(nonNegative(), LINEAR_DEFAULTS.start),
      "the fraction of the learning rate at the start",
    ),
    end: described(v.optional(nonNegative(), LINEAR_DEFAULTS.end), "the fraction of the learning rate at the end"),
    warmupSteps,
  },
  create: ({ start, end, warmupSteps }): Schedule => warmup(warmupSteps, linearSchedule({ start, end })),
});

/** `polynomial` in expressions. */
export const polynomialEntry = defineEntry({
  name: "polynomial",
  help: "what is left of the run, to a power, times the learning rate",
  options: { power: described(v.optional(nonNegative(), POLYNOMIAL_DEFAULTS.power), "the power"), warmupSteps },
  create: ({ power, warmupSteps }): Schedule => warmup(warmupSteps, polynomialSchedule({ power })),
});

/** `cosine-restarts` in expressions. */
export const cosineRestartsEntry = defineEntry({
  name: "cosine-restarts",
  help: "half a cosine from the learning rate down to a fraction of it, again and again",
  options: {
    t0: described(integer(1), "epochs of the first cycle"),
    tMult: described(v.optional(integer(1), RESTARTS_DEFAULTS.tMult), "how many times as long each cycle is"),
    end: described(v.optional(nonNegative(), RESTARTS_DEFAULTS.end), "the fraction of the rate at a cycle's end"),
    warmupSteps,
  },
  create: ({ t0, tMult, end, warmupSteps }, { stepsPerEpoch }: ScheduleContext): Schedule =>
    warmup(warmupSteps, cosineRestartsSchedule({ t0: t0 * stepsPerEpoch, tMult, end })),
});

/** `constant` in expressions. */
export const constantEntry = defineEntry({
  name: "constant",
  help: "the learning rate all the way; one that is set by hand stays",
  options: { warmupSteps },
  create: ({ warmupSteps }, { optimizer }: ScheduleContext): Schedule | LRScheduler =>
    warmupSteps === 0
      ? new ConstantLR(optimizer, { factor: 1, totalIters: 0 })
      : warmup(warmupSteps, constantSchedule()),
});

/**
 * A rise before a schedule whose places are counted from the beginning of the run, and not from the end of the rise.
 */
function warmedUp(steps: number, schedule: Schedule): Schedule {
  return warmup(steps, (step, rest) => schedule(step + steps, rest + steps));
}
