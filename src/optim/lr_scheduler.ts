import { argumentError, badArgument, expectAtLeast0, expectInteger, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { Optimizer } from "./optimizer.js";
import type { ParamGroup } from "./param_group.js";
import { dictField } from "./state_dict.js";

/** The state of a scheduler in the structure and keys of PyTorch's: these, and those of its class. */
export type SchedulerStateDict = {
  base_lrs: number[];
  last_epoch: number;
  _step_count: number;
  _is_initial: boolean;
  _get_lr_called_within_step: boolean;
  _last_lr: number[];
  [attribute: string]: SchedulerAttribute;
};
/** An attribute of a scheduler of PyTorch's. */
export type SchedulerAttribute =
  | number
  | boolean
  | string
  | null
  | readonly SchedulerAttribute[]
  | ReadonlyMap<number, number>
  | { readonly [key: string]: SchedulerAttribute };

/**
 * The base of every scheduler, as `torch.optim.lr_scheduler.LRScheduler`: after each step of the optimizer, `step()`
 * sets the learning rate of each of its groups. The rate is a function of the step and of the rate that the group had
 * before any scheduler; StepLR and the others of PyTorch's that chain go on from the rate in force.
 *
 * @example
 * ```ts
 * class Halving extends LRScheduler {
 *   protected override lrAt(step: number, baseLr: number) {
 *     return baseLr / 2 ** step;
 *   }
 *   protected override attributes() {
 *     return {};
 *   }
 *   override loadStateDict(state: unknown) {
 *     return Object.assign(this, this.readPlace(state));
 *   }
 * }
 * ```
 */
export abstract class LRScheduler {
  readonly optimizer: Optimizer;
  /** How many steps were made. PyTorch calls it `last_epoch`. */
  lastStep = 0;
  /** The rate of each group that its schedule starts from. */
  protected baseLrs: number[];

  constructor(optimizer: Optimizer) {
    expectOptimizer(optimizer);
    this.optimizer = optimizer;
    this.baseLrs = optimizer.paramGroups.map(initialLr);
  }

  /** The length of the schedule in steps; infinite if it has no end. */
  get totalSteps(): number {
    return Number.POSITIVE_INFINITY;
  }

  /** The rate of a group at a step. */
  protected abstract lrAt(step: number, baseLr: number, group: number): number;

  /** The rate of a group at a step that follows the last: from its base unless the class says otherwise. */
  protected nextLr(step: number, baseLr: number, group: number): number {
    return this.lrAt(step, baseLr, group);
  }

  /** What the class has in PyTorch's state dict beside what all have. */
  protected abstract attributes(): Record<string, SchedulerAttribute>;

  /** Moves to the next step; `BAD_ARGUMENT` once all were made. */
  step(extra?: never): void {
    if (extra !== undefined) throw badArgument("step", "no arguments (restore(step) goes to a step)", extra);
    if (this.lastStep >= this.totalSteps) {
      throw argumentError("step", `the schedule has ${this.totalSteps} steps, and all were made`);
    }
    this.moveTo(this.lastStep + 1, true);
  }

  /** Sets the rates of the first step from those in force, as making the scheduler does. @internal */
  begin(): void {
    this.moveTo(0);
  }

  /** Goes to a step, as after that many calls of {@link LRScheduler.step}: for resuming. */
  restore(step: number): void {
    this.moveTo(expectInteger("step", step, 0, Math.min(this.totalSteps, Number.MAX_SAFE_INTEGER)));
  }

  /** The learning rate of each group. */
  getLastLr(): number[] {
    return this.optimizer.paramGroups.map(({ lr }) => lr);
  }

  /** The step and the options in PyTorch's structure: the scheduler of this name in PyTorch loads it and continues. */
  stateDict(): SchedulerStateDict {
    this.#includeNewGroups();
    return {
      ...this.attributes(),
      base_lrs: [...this.baseLrs],
      last_epoch: this.lastStep,
      // PyTorch counts the one that sets the first rate.
      _step_count: this.lastStep + 1,
      _is_initial: false,
      _get_lr_called_within_step: false,
      _last_lr: this.getLastLr(),
    };
  }

  /**
   * Takes over a state dict, of this class or of PyTorch's. As there, the rates in force come with the optimizer's
   * state dict: load both.
   *
   * @throws DistilleryError `STATE_DICT_MISMATCH` for one of another scheduler, `BAD_ARGUMENT` for values out of range.
   */
  abstract loadStateDict(state: unknown): this;

  /** Sets the rates at a step, from their bases or as those that follow. */
  protected moveTo(step: number, isNext = false): void {
    const { paramGroups } = this.optimizer;
    this.#includeNewGroups();
    const lrs = paramGroups.map((_, i) => this[isNext ? "nextLr" : "lrAt"](step, this.baseLrs[i], i));
    for (let i = 0; i < lrs.length; i++) paramGroups[i].lr = lrs[i];
    this.lastStep = step;
  }

  /** A group may have been added since. */
  #includeNewGroups(): void {
    const { paramGroups } = this.optimizer;
    for (let i = this.baseLrs.length; i < paramGroups.length; i++) this.baseLrs.push(initialLr(paramGroups[i]));
  }

  /** The base rates and the place of a state dict, checked. */
  protected readPlace(state: unknown, totalSteps = this.totalSteps): { baseLrs: number[]; lastStep: number } {
    const stored = dictField(state, "base_lrs");
    const groups = this.optimizer.paramGroups.length;
    if (!Array.isArray(stored) || stored.length !== groups) {
      const got = Array.isArray(stored) ? stored.length : show(stored);
      throw badState(`base_lrs: expected one for each parameter group, ${groups}, got ${got}`);
    }
    const most = Math.min(totalSteps, Number.MAX_SAFE_INTEGER);
    return {
      baseLrs: stored.map((lr, i) => expectAtLeast0(`base_lrs[${i}]`, lr)),
      lastStep: expectInteger("last_epoch", dictField(state, "last_epoch"), 0, most),
    };
  }
}

/** The rate that a group had before any scheduler, which is kept in the group as PyTorch keeps it. */
function initialLr(group: ParamGroup): number {
  group.initialLr ??= group.lr;
  return group.initialLr;
}

/** Refuses anything but an optimizer, such as a list of parameters; `BAD_ARGUMENT`. */
export function expectOptimizer(value: unknown): void {
  if (!(value instanceof Optimizer)) throw badArgument("optimizer", "an Optimizer", value);
}

/** Refuses a list that has not one value for each of the optimizer's groups. */
export function expectOneEach(name: string, list: readonly unknown[], { paramGroups }: Optimizer): void {
  const { length } = paramGroups;
  if (list.length !== length) throw badArgument(name, `one for each of ${length} parameter groups`, list);
}

export function badState(problem: string): DistilleryError {
  return new DistilleryError("STATE_DICT_MISMATCH", `in the scheduler's state dict, ${problem}`);
}
