import { DistilleryError } from "../errors.js";
import type { AdamW } from "../optim/adamw.js";
import { LambdaLR } from "../optim/lambda_lr.js";
import { OneCycleLR } from "../optim/one_cycle_lr.js";
import { constant, cosine, type Schedule, stepDecay, warmUp } from "../optim/schedules.js";
import type { ResolvedTraining } from "./options.js";

/** What moves a run's learning rate. */
export type Scheduler = OneCycleLR | LambdaLR;

/** The scheduler that the options name, for epochs of so many steps. */
export function schedulerOf(optimizer: AdamW, options: ResolvedTraining, stepsPerEpoch: number): Scheduler {
  const { schedule, warmupSteps, epochs, lr } = options;
  if (schedule === "one-cycle") {
    if (warmupSteps === 0) return new OneCycleLR(optimizer, { ...options, maxLr: lr, epochs, stepsPerEpoch });
    const text = "warmupSteps: the one-cycle schedule has a rise of its own, pctStart: leave one of the two out";
    throw new DistilleryError("BAD_ARGUMENT", text);
  }
  const course = typeof schedule === "function" ? schedule : named(schedule, options, stepsPerEpoch);
  const totalSteps = epochs * stepsPerEpoch;
  return new LambdaLR(optimizer, {
    schedule: warmupSteps === 0 ? course : warmUp(warmupSteps, course),
    totalSteps,
  });
}

function named(
  name: "cosine" | "step" | "constant",
  { stepSize, gamma }: ResolvedTraining,
  stepsPerEpoch: number,
): Schedule {
  if (name === "cosine") return cosine();
  if (name === "step") return stepDecay({ every: stepSize * stepsPerEpoch, gamma });
  return constant();
}
