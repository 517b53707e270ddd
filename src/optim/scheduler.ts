import { expectInteger } from "../checks.js";
import { DistilleryError } from "../errors.js";
import type { AdamW } from "./adamw.js";

/** What schedulers share: a place among the steps of a run, which decides the optimizer's rate. */
export abstract class Scheduler {
  /** How many steps were made. */
  lastStep = 0;

  constructor(protected readonly optimizer: AdamW) {}

  /** The length of the run in steps. */
  abstract get totalSteps(): number;

  /** Gives the optimizer what it has at `lastStep`. */
  protected abstract apply(): void;

  /** Moves to the next step; `BAD_ARGUMENT` once all were made. */
  step(): void {
    if (this.lastStep >= this.totalSteps) {
      throw new DistilleryError("BAD_ARGUMENT", `step: the schedule has ${this.totalSteps} steps, and all were made`);
    }
    this.lastStep += 1;
    this.apply();
  }

  /** Goes to a step, as after that many calls of {@link Scheduler.step}: for resuming. */
  restore(step: number): void {
    this.lastStep = expectInteger("step", step, 0, this.totalSteps);
    this.apply();
  }

  /** The learning rate in force, in a list as PyTorch gives it. */
  getLastLr(): number[] {
    return [this.optimizer.lr];
  }
}
