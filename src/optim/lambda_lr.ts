import { expectInteger, expectNumber, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import type { AdamW } from "./adamw.js";
import { dictField } from "./dict.js";
import { Scheduler } from "./scheduler.js";
import { expectSchedule, type Schedule } from "./schedules.js";

/** The state of a LambdaLR in the structure and keys of PyTorch's; the schedule itself is not in it. */
export type LambdaLRStateDict = {
  base_lrs: number[];
  last_epoch: number;
  _step_count: number;
  _is_initial: boolean;
  _get_lr_called_within_step: boolean;
  _last_lr: number[];
  lr_lambdas: null[];
};

/**
 * The optimizer's learning rate, as it was when the scheduler was made, times a {@link Schedule}:
 * `torch.optim.lr_scheduler.LambdaLR` of a known length. Call `step()` after each `optimizer.step()`.
 *
 * @throws DistilleryError `BAD_ARGUMENT` where a schedule gives what is no number of at least 0.
 * @example
 * ```ts
 * const optimizer = new AdamW(student.parameters(), { lr: 6e-4 });
 * const scheduler = new LambdaLR(optimizer, { schedule: warmUp(0.05, cosine()), totalSteps: 12 * loader.length });
 * ```
 */
export class LambdaLR extends Scheduler {
  override readonly totalSteps: number;
  readonly #schedule: Schedule;
  #topLr: number;

  constructor(optimizer: AdamW, options: { schedule: Schedule; totalSteps: number }) {
    super(optimizer);
    this.#schedule = expectSchedule("schedule", options.schedule);
    this.totalSteps = expectInteger("totalSteps", options.totalSteps, 1);
    this.#topLr = optimizer.lr;
    this.apply();
  }

  /** Top rate and place in PyTorch's structure, for `LambdaLR.load_state_dict` there. */
  stateDict(): LambdaLRStateDict {
    return {
      base_lrs: [this.#topLr],
      last_epoch: this.lastStep,
      // PyTorch counts the one that sets the first rate.
      _step_count: this.lastStep + 1,
      _is_initial: false,
      _get_lr_called_within_step: false,
      _last_lr: this.getLastLr(),
      lr_lambdas: [null],
    };
  }

  /**
   * Takes over a state dict, of this class or of PyTorch's LambdaLR. As there, the schedule stays, and the rate in force
   * comes with the optimizer's state dict, or else with the next step.
   *
   * @throws DistilleryError `STATE_DICT_MISMATCH` for one of another scheduler, `BAD_ARGUMENT` for values out of range.
   */
  loadStateDict(state: unknown): this {
    for (const key of ["lr_lambdas", "base_lrs"]) {
      const list = dictField(state, key);
      if (Array.isArray(list) && list.length === 1) continue;
      const text = `in the scheduler's state dict, ${key}: expected a list of one, got ${show(list)}`;
      throw new DistilleryError("STATE_DICT_MISMATCH", text);
    }
    const [lr] = dictField(state, "base_lrs") as [unknown];
    const topLr = expectNumber("base_lrs[0]", lr, (x) => x >= 0, "a number of at least 0");
    this.lastStep = expectInteger("last_epoch", dictField(state, "last_epoch"), 0, this.totalSteps);
    this.#topLr = topLr;
    return this;
  }

  protected override apply(): void {
    const { lastStep, totalSteps } = this;
    const factor = this.#schedule(lastStep, totalSteps);
    const name = `schedule(${lastStep}, ${totalSteps})`;
    this.optimizer.lr = this.#topLr * expectNumber(name, factor, (x) => x >= 0, "a number of at least 0");
  }
}
