import { createHash } from "node:crypto";
import { DistilleryError } from "../errors.js";
import { createScheduler as fromExpression } from "../optim/index.js";
import type { LRScheduler } from "../optim/lr_scheduler.js";
import { LambdaLR } from "../optim/lr_schedulers.js";
import { OneCycleLR } from "../optim/one_cycle_lr.js";
import type { Optimizer } from "../optim/optimizer.js";
import { constantSchedule, cosineSchedule, type Schedule, stepSchedule, warmup } from "../optim/schedules.js";
import { type Expression, formatExpression, type UserModules } from "../registry/index.js";
import type { ResolvedTraining } from "./options.js";

/** The scheduler that the options name, for epochs of `stepsPerEpoch` steps. */
export function createScheduler(
  optimizer: Optimizer,
  options: ResolvedTraining,
  stepsPerEpoch: number,
  modules: UserModules,
): LRScheduler {
  const { schedule, warmupSteps, epochs, pctStart, divFactor, finalDivFactor } = options;
  if (schedule === "one-cycle") {
    if (warmupSteps === 0) {
      const maxLr = optimizer.paramGroups.map(({ lr }) => lr);
      return new OneCycleLR(optimizer, { maxLr, epochs, stepsPerEpoch, pctStart, divFactor, finalDivFactor });
    }
    const text = "warmupSteps: the one-cycle schedule has a rise of its own, pctStart: leave one of the two out";
    throw new DistilleryError("BAD_ARGUMENT", text);
  }
  if (typeof schedule !== "function" && !isNamed(schedule)) {
    if (warmupSteps === 0)
      return fromExpression(schedule, { optimizer, epochs, stepsPerEpoch }, { argument: "schedule", modules });
    throw new DistilleryError("BAD_ARGUMENT", 'warmupSteps: write it into the schedule, as "cosine(warmupSteps=100)"');
  }
  const factors = typeof schedule === "function" ? schedule : named(schedule, options, stepsPerEpoch);
  return new LambdaLR(optimizer, {
    schedule: warmupSteps === 0 ? factors : warmup(warmupSteps, factors),
    totalSteps: epochs * stepsPerEpoch,
  });
}

type Named = "cosine" | "step" | "constant";

/** Whether a schedule takes its arguments from the run's options. */
function isNamed(schedule: Expression): schedule is Named {
  return schedule === "cosine" || schedule === "step" || schedule === "constant";
}

function named(name: Named, { stepSize, gamma }: ResolvedTraining, stepsPerEpoch: number): Schedule {
  if (name === "cosine") return cosineSchedule();
  if (name === "step") return stepSchedule({ stepSize: stepSize * stepsPerEpoch, gamma });
  return constantSchedule();
}

/** A schedule as `config.json` keeps it: its name, or for a function the SHA-256 of its values at all steps. */
export function describeSchedule(
  schedule: Schedule | Expression,
  totalSteps: number,
): Readonly<Record<string, string>> {
  if (typeof schedule !== "function") {
    return { schedule: typeof schedule === "string" ? schedule : formatExpression(schedule) };
  }
  const values = Float64Array.from({ length: totalSteps + 1 }, (_, step) => schedule(step, totalSteps));
  return { schedule: "function", scheduleHash: createHash("sha256").update(values).digest("hex") };
}
