import { types } from "node:util";
import { argumentError, badArgument, expectInteger, expectList, expectOptions, show } from "../checks.js";
import {
  badState,
  expectOptimizer,
  LRScheduler,
  type SchedulerAttribute,
  type SchedulerStateDict,
} from "./lr_scheduler.js";
import type { Optimizer } from "./optimizer.js";
import { dictField } from "./state_dict.js";

/** The options of {@link SequentialLR}. */
export interface SequentialLROptions {
  /** Schedulers of the same optimizer. */
  schedulers: readonly LRScheduler[];
  /** The calls of `step()` at which each but the first takes over, ascending. */
  milestones: readonly number[];
}

/**
 * Schedulers one after the other, each from its beginning: `torch.optim.lr_scheduler.SequentialLR`. Make it after its
 * schedulers, and step it alone.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for schedulers of another optimizer or that end before the next takes over,
 * and for milestones that do not ascend.
 * @example
 * ```ts
 * const schedulers = [new LinearLR(optimizer, { totalIters: 5 }), new CosineAnnealingLR(optimizer, { tMax: 95 })];
 * const scheduler = new SequentialLR(optimizer, { schedulers, milestones: [5] });
 * ```
 */
export class SequentialLR extends LRScheduler {
  readonly #schedulers: readonly LRScheduler[];
  #milestones: readonly number[];

  constructor(optimizer: Optimizer, options: SequentialLROptions) {
    expectOptimizer(optimizer);
    expectOptions("options", options, ["schedulers", "milestones"]);
    const schedulers = [...expectList("schedulers", options.schedulers, "a list of schedulers")];
    if (schedulers.length === 0) throw badArgument("schedulers", "a list of at least one scheduler", schedulers);
    for (const [i, scheduler] of schedulers.entries()) {
      const name = `schedulers[${i}]`;
      if (!(scheduler instanceof LRScheduler)) throw badArgument(name, "an LRScheduler", scheduler);
      if (scheduler.optimizer !== optimizer) throw argumentError(name, "expected one of the same optimizer");
    }
    const milestones = checked([...expectList("milestones", options.milestones)], schedulers);
    super(optimizer);
    this.#schedulers = schedulers;
    this.#milestones = milestones;
    this.moveTo(0);
  }

  override get totalSteps(): number {
    return (this.#milestones.at(-1) ?? 0) + this.#schedulers[this.#schedulers.length - 1].totalSteps;
  }

  /** The schedulers have a state dict each; the keys that PyTorch's has not change nothing there. */
  override stateDict(): SchedulerStateDict {
    return { ...super.stateDict(), _schedulers: this.#schedulers.map((_, i) => this.#stateOf(i)) };
  }

  override loadStateDict(state: unknown): this {
    const [stored, milestones] = ["_schedulers", "_milestones"].map((key) => dictField(state, key));
    if (!Array.isArray(stored) || stored.length !== this.#schedulers.length) {
      const got = Array.isArray(stored) ? stored.length : show(stored);
      throw badState(`_schedulers: expected ${this.#schedulers.length}, got ${got}`);
    }
    if (!Array.isArray(milestones)) throw badState(`_milestones: expected a list, got ${show(milestones)}`);
    const ascending = checked(milestones, this.#schedulers);
    const lastStep = expectInteger("last_epoch", dictField(state, "last_epoch"), 0, Number.MAX_SAFE_INTEGER);
    const before = this.#schedulers.map((scheduler) => scheduler.stateDict());
    try {
      for (const [i, scheduler] of this.#schedulers.entries()) scheduler.loadStateDict(begun(stored[i]));
    } catch (error) {
      // All or nothing.
      for (const [i, scheduler] of this.#schedulers.entries()) scheduler.loadStateDict(before[i]);
      throw error;
    }
    this.#milestones = ascending;
    this.lastStep = lastStep;
    return this;
  }

  protected override attributes(): Record<string, SchedulerAttribute> {
    return { _milestones: this.#milestones };
  }

  /** Its schedulers set the rates, in `moveTo`. */
  protected override lrAt(_step: number, _baseLr: number, group: number): number {
    return this.optimizer.paramGroups[group].lr;
  }

  protected override moveTo(step: number, isNext = false): void {
    const at = this.#activeAt(step);
    const begin = this.#milestones[at - 1] ?? 0;
    const current = this.#schedulers[at];
    if (isNext && step > begin) current.step();
    else if (at === 0) {
      // A OneCycleLR that comes later replaced the rate that the groups start from: as in PyTorch, the first scheduler
      // goes on from that one.
      for (const group of this.optimizer.paramGroups) group.lr = group.initialLr ?? group.lr;
      current.begin();
      for (let i = 0; i < step; i++) current.step();
    } else {
      for (const [i, earlier] of this.#schedulers.slice(0, at).entries()) {
        if (!isNext) earlier.restore(lengthOf(i, this.#milestones) - 1);
      }
      current.restore(step - begin);
    }
    this.lastStep = step;
  }

  #activeAt(step: number): number {
    return this.#milestones.filter((milestone) => milestone <= step).length;
  }

  #stateOf(i: number): SchedulerStateDict {
    const state = this.#schedulers[i].stateDict();
    return i > this.#activeAt(this.lastStep) ? { ...state, last_epoch: -1, _step_count: 1 } : state;
  }
}

/** How many steps a scheduler that another one follows is in force. */
function lengthOf(i: number, milestones: readonly number[]): number {
  return milestones[i] - (milestones[i - 1] ?? 0);
}

function checked(milestones: readonly number[], schedulers: readonly LRScheduler[]): readonly number[] {
  if (milestones.length !== schedulers.length - 1) {
    const wanted = `one for each scheduler but the first, ${schedulers.length - 1}`;
    throw argumentError("milestones", `expected ${wanted}, got ${milestones.length}`);
  }
  for (const [i, milestone] of milestones.entries()) {
    expectInteger(`milestones[${i}]`, milestone, (milestones[i - 1] ?? 0) + 1);
    const steps = lengthOf(i, milestones) - 1;
    const { totalSteps } = schedulers[i];
    if (totalSteps < steps) {
      throw argumentError(`schedulers[${i}]`, `expected at least the ${steps} steps to the next, got ${totalSteps}`);
    }
  }
  return milestones;
}

/** The state of a scheduler whose turn has not come, which PyTorch places before its first step, at its first step. */
function begun(state: unknown): unknown {
  const place = dictField(state, "last_epoch");
  if (place !== -1) return state;
  return types.isMap(state) ? new Map([...state, ["last_epoch", 0]]) : { ...(state as object), last_epoch: 0 };
}
