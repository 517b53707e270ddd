import {
  argumentError,
  badArgument,
  expectFlags,
  expectFraction,
  expectFractionBelow1,
  expectInteger,
  expectNumber,
  expectOneOf,
  expectPositive,
  optionsOf,
  show,
} from "../checks.js";
import { badState, expectOneEach, expectOptimizer, LRScheduler, type SchedulerAttribute } from "./lr_scheduler.js";
import type { Optimizer } from "./optimizer.js";
import type { ParamGroup } from "./param_group.js";
import { annealCosine, type Schedule } from "./schedules.js";
import { dictField } from "./state_dict.js";

/**
 * The form of one cycle, with PyTorch's defaults; the schedule `one-cycle` of runs has the reference script's two
 * factors, 20 and 100.
 */
export interface OneCycleForm {
  /** The fraction of the cycle that rises; default 0.3. */
  pctStart?: number;
  /** How the rate moves within each phase; default "cos". */
  annealStrategy?: "cos" | "linear";
  /** The start is the highest rate divided by this; default 25. */
  divFactor?: number;
  /** The end is the start divided by this; default 1e4. */
  finalDivFactor?: number;
  /** Whether the rate falls to the start as fast as it rose, and only then to the end; default false. */
  threePhase?: boolean;
}

/** The options of {@link OneCycleLR}, with PyTorch's defaults. */
export interface OneCycleOptions extends OneCycleForm {
  /** The highest learning rate, of all groups or of each. */
  maxLr: number | readonly number[];
  /** The length of the cycle in steps; or give `epochs` and `stepsPerEpoch`. */
  totalSteps?: number;
  epochs?: number;
  stepsPerEpoch?: number;
  /** Whether momentum, or beta1, falls and rises against the rate; default true. */
  cycleMomentum?: boolean;
  /** The lowest momentum; default 0.85. */
  baseMomentum?: number;
  /** The highest momentum; default 0.95. */
  maxMomentum?: number;
}

const FORM = {
  pctStart: 0.3,
  annealStrategy: "cos",
  divFactor: 25,
  finalDivFactor: 1e4,
  threePhase: false,
} as const;
const STRATEGIES = ["cos", "linear"] as const;
/** PyTorch's defaults. */
export const ONE_CYCLE_DEFAULTS = { ...FORM, cycleMomentum: true, baseMomentum: 0.85, maxMomentum: 0.95 } as const;

/** The phases of a cycle: up to the peak, down to the start if there are three, and down to the last step. */
interface Phases {
  /** The last step of each. */
  ends: readonly number[];
  annealStrategy: (typeof STRATEGIES)[number];
}

/** The values at the start, at the peak and in the last step. */
type Values = readonly [start: number, peak: number, end: number];

/**
 * One cycle as a {@link Schedule}: up to 1, then down below the start (Smith and Topin, 2017). {@link OneCycleLR} has
 * these rates and cycles momentum too.
 *
 * @example
 * ```ts
 * const schedule = oneCycleSchedule({ pctStart: 0.5, divFactor: 25 });
 * [schedule(0, 10), schedule(4, 10), schedule(9, 10)]; // [0.04, 1, 0.000004]
 * ```
 */
export function oneCycleSchedule(options: OneCycleForm = {}): Schedule {
  const form = optionsOf("options", FORM, options);
  const values = lrsOf(1, form);
  phasesOf(1, form); // Refuses now what it would refuse at the first step.
  // A linear descent falls below 0 after the last step.
  return (step, steps) => Math.max(0, interpolate(phasesOf(steps, form), step, values));
}

/**
 * One cycle of the learning rate (Smith and Topin, 2017): up to `maxLr`, then down, with momentum or beta1 moving the
 * other way. `torch.optim.lr_scheduler.OneCycleLR`. Call `step()` after each `optimizer.step()`.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for options that are unknown or out of range.
 * @example
 * ```ts
 * const scheduler = new OneCycleLR(optimizer, { maxLr: 6e-4, epochs: 150, stepsPerEpoch: 16, divFactor: 20 });
 * ```
 */
export class OneCycleLR extends LRScheduler {
  #phases: Phases;
  #cycleMomentum: boolean;

  constructor(optimizer: Optimizer, options: OneCycleOptions) {
    expectOptimizer(optimizer);
    const all = optionsOf("options", ONE_CYCLE_DEFAULTS, options, ["maxLr", "totalSteps", "epochs", "stepsPerEpoch"]);
    const phases = phasesOf(stepsOf(all), all);
    const { cycleMomentum, maxLr } = all;
    expectFlags({ cycleMomentum });
    const momenta = {
      maxMomentum: expectFractionBelow1("maxMomentum", all.maxMomentum),
      baseMomentum: expectFractionBelow1("baseMomentum", all.baseMomentum),
    };
    if (cycleMomentum && !optimizer.paramGroups.every((group) => "betas" in group || "momentum" in group)) {
      throw argumentError("cycleMomentum", "expected an optimizer with momentum or betas");
    }
    if (Array.isArray(maxLr)) expectOneEach("maxLr", maxLr, optimizer);
    const lrs = optimizer.paramGroups.map((_, i) => {
      const [initialLr, peak, minLr] = lrsOf(expectMaxLr(maxLr, i), all);
      return { initialLr, maxLr: peak, minLr };
    });
    for (const [i, group] of optimizer.paramGroups.entries()) Object.assign(group, lrs[i], cycleMomentum && momenta);
    super(optimizer);
    this.#phases = phases;
    this.#cycleMomentum = cycleMomentum;
    this.moveTo(0);
  }

  /** Whether it moves the optimizer's momentum, or first beta, too. */
  get movesMomentum(): boolean {
    return this.#cycleMomentum;
  }

  /** The length of the cycle. */
  override get totalSteps(): number {
    return totalOf(this.#phases);
  }

  /** The rates between which it moves are in the optimizer's state, as they are in PyTorch: save and load both. */
  override loadStateDict(state: unknown): this {
    const phases = dictField(state, "_schedule_phases");
    if (!Array.isArray(phases) || phases.length < 2 || phases.length > 3) {
      const got = Array.isArray(phases) ? phases.length : show(phases);
      throw badState(`_schedule_phases: expected the two or three of a OneCycleLR, got ${got}`);
    }
    const cycleMomentum = dictField(state, "cycle_momentum");
    if (typeof cycleMomentum !== "boolean") throw badState(`cycle_momentum: got ${show(cycleMomentum)}`);
    const totalSteps = expectInteger("total_steps", dictField(state, "total_steps"), 1);
    const ends = phases.slice(0, -1).map((one, i) => {
      const isStep = (x: number) => x > -2 - i && x < (i + 1) * totalSteps;
      return expectNumber("end_step", dictField(one, "end_step"), isStep, `a step of the ${totalSteps}`);
    });
    const annealStrategy = expectOneOf("_anneal_func_type", dictField(state, "_anneal_func_type"), STRATEGIES);
    Object.assign(this, this.readPlace(state, totalSteps));
    this.#phases = { ends: [...ends, totalSteps - 1], annealStrategy };
    this.#cycleMomentum = cycleMomentum;
    return this;
  }

  protected override attributes(): Record<string, SchedulerAttribute> {
    const { ends, annealStrategy } = this.#phases;
    const lrs = pointsOf(ends, ["initial_lr", "max_lr", "min_lr"]);
    const momenta = pointsOf(ends, ["max_momentum", "base_momentum", "max_momentum"]);
    return {
      total_steps: this.totalSteps,
      _schedule_phases: ends.map((end, i) => ({
        end_step: end,
        start_lr: lrs[i],
        end_lr: lrs[i + 1],
        start_momentum: momenta[i],
        end_momentum: momenta[i + 1],
      })),
      _anneal_func_type: annealStrategy,
      cycle_momentum: this.#cycleMomentum,
      ...(this.#cycleMomentum ? { use_beta1: "betas" in this.optimizer.paramGroups[0] } : {}),
    };
  }

  protected override lrAt(step: number, baseLr: number, i: number): number {
    const { initialLr = baseLr, maxLr = baseLr, minLr = baseLr } = this.optimizer.paramGroups[i];
    return interpolate(this.#phases, step, [initialLr, maxLr, minLr]);
  }

  protected override moveTo(step: number): void {
    super.moveTo(step);
    if (!this.#cycleMomentum) return;
    for (const group of this.optimizer.paramGroups as MomentumGroup[]) {
      const { maxMomentum: high, baseMomentum: low } = group;
      if (high === undefined || low === undefined) continue;
      const momentum = interpolate(this.#phases, step, [high, low, high]);
      if (group.betas === undefined) group.momentum = momentum;
      else group.betas = [momentum, group.betas[1]];
    }
  }
}

/** A group of an optimizer with beta1 or momentum. */
type MomentumGroup = ParamGroup & { betas?: readonly [number, number]; momentum?: number };

function totalOf({ ends }: Phases): number {
  return ends[ends.length - 1] + 1;
}

/** What lies between the phases, which is at the start again before the third. */
function pointsOf<T>(ends: readonly number[], [start, peak, end]: readonly [T, T, T]): readonly T[] {
  return ends.length === 2 ? [start, peak, end] : [start, peak, start, end];
}

/** The value at a step. */
function interpolate({ ends, annealStrategy }: Phases, step: number, values: Values): number {
  const anneal = annealStrategy === "cos" ? annealCosine : annealLinear;
  const points = pointsOf(ends, values);
  const within = ends.findIndex((end) => step <= end);
  const phase = within < 0 ? ends.length - 1 : within;
  const [from, to] = [phase === 0 ? 0 : ends[phase - 1], ends[phase]];
  // A phase of no length is over: its end applies.
  const fraction = to === from ? 1 : (step - from) / (to - from);
  return anneal(points[phase], points[phase + 1], fraction);
}

function annealLinear(from: number, to: number, fraction: number): number {
  return (to - from) * fraction + from;
}

function phasesOf(totalSteps: number, form: Required<OneCycleForm>): Phases {
  const pctStart = expectFraction("pctStart", form.pctStart);
  const { threePhase } = form;
  expectFlags({ threePhase });
  const rise = pctStart * totalSteps;
  const ends = [rise - 1, ...(threePhase ? [2 * rise - 2] : []), totalSteps - 1];
  return { ends, annealStrategy: expectOneOf("annealStrategy", form.annealStrategy, STRATEGIES) };
}

/** The rates of a cycle with this highest one. */
function lrsOf(maxLr: number, { divFactor, finalDivFactor }: Required<OneCycleForm>): Values {
  const start = maxLr / expectPositive("divFactor", divFactor);
  const end = start / expectPositive("finalDivFactor", finalDivFactor);
  if (!Number.isFinite(end)) {
    throw badArgument("finalDivFactor", "one for which maxLr / divFactor / finalDivFactor is finite", finalDivFactor);
  }
  return [start, maxLr, end];
}

function stepsOf({ totalSteps, epochs, stepsPerEpoch }: OneCycleOptions): number {
  if (totalSteps !== undefined) return expectInteger("totalSteps", totalSteps, 1);
  return expectInteger("epochs", epochs, 1) * expectInteger("stepsPerEpoch", stepsPerEpoch, 1);
}

function expectMaxLr(maxLr: number | readonly number[], group: number): number {
  const [name, value] = Array.isArray(maxLr) ? [`maxLr[${group}]`, maxLr[group]] : ["maxLr", maxLr];
  return expectPositive(name, value);
}
