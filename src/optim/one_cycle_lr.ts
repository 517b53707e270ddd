import { expectInteger, expectNumber, withDefaults } from "../checks.js";
import { DistilleryError } from "../errors.js";
import type { AdamW } from "./adamw.js";
import type { Cycle } from "./cycle.js";
import {
  type Anneal,
  type CycleShape,
  expectAnneal,
  type OneCycleStateDict,
  readOneCycle,
  writeOneCycle,
} from "./one_cycle_state.js";

/** The options of {@link OneCycleLR}, with PyTorch's defaults. */
export interface OneCycleOptions {
  /** The learning rate at the top. */
  maxLr: number;
  /** The length of the cycle in steps; or give `epochs` and `stepsPerEpoch`. */
  totalSteps?: number;
  epochs?: number;
  stepsPerEpoch?: number;
  /** The share of the cycle that rises; default 0.3. */
  pctStart?: number;
  /** How the rate moves between its corners; default "cos". */
  annealStrategy?: "cos" | "linear";
  /** Start at maxLr / divFactor; default 25. */
  divFactor?: number;
  /** End at the start divided by this; default 1e4. */
  finalDivFactor?: number;
  /** Whether beta1 falls and rises against the rate; default true. */
  cycleMomentum?: boolean;
  /** The lowest beta1; default 0.85. */
  baseMomentum?: number;
  /** The highest beta1; default 0.95. */
  maxMomentum?: number;
}

const DEFAULTS = {
  pctStart: 0.3,
  annealStrategy: "cos",
  divFactor: 25,
  finalDivFactor: 1e4,
  cycleMomentum: true,
  baseMomentum: 0.85,
  maxMomentum: 0.95,
} as const;

/**
 * One cycle of the learning rate (Smith and Topin, 2017): up to `maxLr`, then down, with beta1 moving the other way.
 * `torch.optim.lr_scheduler.OneCycleLR` with two phases. Call `step()` after each `optimizer.step()`.
 *
 * @example
 * ```ts
 * const scheduler = new OneCycleLR(optimizer, { maxLr: 6e-4, epochs: 150, stepsPerEpoch: 16, divFactor: 20 });
 * ```
 */
export class OneCycleLR {
  /** How many steps were made. */
  lastStep = 0;
  readonly #optimizer: AdamW;
  #shape: CycleShape;

  constructor(optimizer: AdamW, options: OneCycleOptions) {
    const all = withDefaults(DEFAULTS, options);
    const positive = (x: number) => x > 0;
    const maxLr = expectNumber("maxLr", all.maxLr, positive, "a number above 0");
    const pctStart = expectNumber("pctStart", all.pctStart, (x) => x >= 0 && x <= 1, "a number from 0 to 1");
    const initialLr = maxLr / expectNumber("divFactor", all.divFactor, positive, "a number above 0");
    const finalLr = initialLr / expectNumber("finalDivFactor", all.finalDivFactor, positive, "a number above 0");
    const low = momentum("baseMomentum", all.baseMomentum);
    const high = momentum("maxMomentum", all.maxMomentum);
    const totalSteps = stepsOf(all);
    this.#shape = {
      totalSteps,
      topStep: pctStart * totalSteps - 1,
      anneal: expectAnneal(all.annealStrategy),
      cycleMomentum: all.cycleMomentum,
      initialLr,
    };
    this.#optimizer = optimizer;
    const momenta = all.cycleMomentum ? { max_momentum: high, base_momentum: low } : {};
    optimizer.cycle = { initial_lr: initialLr, max_lr: maxLr, min_lr: finalLr, ...momenta };
    this.#apply();
  }

  /** The length of the cycle. */
  get totalSteps(): number {
    return this.#shape.totalSteps;
  }

  /** Moves to the next step; `BAD_ARGUMENT` once the cycle is over. */
  step(): void {
    if (this.lastStep >= this.totalSteps) {
      throw new DistilleryError("BAD_ARGUMENT", `step: the schedule has ${this.totalSteps} steps, and all were made`);
    }
    this.lastStep += 1;
    this.#apply();
  }

  /** Goes to a step, as after that many calls of {@link OneCycleLR.step}: for resuming. */
  restore(step: number): void {
    this.lastStep = expectInteger("step", step, 0, this.totalSteps);
    this.#apply();
  }

  /** The learning rate in force, in a list as PyTorch gives it. */
  getLastLr(): number[] {
    return [this.#optimizer.lr];
  }

  /**
   * Length, course and place in PyTorch's structure, for `OneCycleLR.load_state_dict` there. The rates between which it
   * moves are in the optimizer's state, as they are in PyTorch: save both.
   */
  stateDict(): OneCycleStateDict {
    return writeOneCycle(this.#shape, this.lastStep, this.#optimizer.lr);
  }

  /**
   * Takes over a state dict, of this class or of PyTorch's OneCycleLR with two phases. As there, the rate in force
   * comes with the optimizer's state dict, or else with the next step.
   *
   * @throws DistilleryError `STATE_DICT_MISMATCH` for one of another scheduler, `BAD_ARGUMENT` for values out of range.
   */
  loadStateDict(state: unknown): this {
    const { shape, lastStep } = readOneCycle(state);
    this.#shape = shape;
    this.lastStep = lastStep;
    return this;
  }

  #apply(): void {
    const { totalSteps, topStep, anneal, cycleMomentum } = this.#shape;
    const optimizer = this.#optimizer;
    const {
      initial_lr: start,
      max_lr: top,
      min_lr: end,
      max_momentum: high,
      base_momentum: low,
    } = optimizer.cycle as Cycle;
    const rises = this.lastStep <= topStep;
    const [from, to] = rises ? [0, topStep] : [topStep, totalSteps - 1];
    // A phase of no length is over: it stands at its end.
    const part = to === from ? 1 : (this.lastStep - from) / (to - from);
    const between = ANNEAL[anneal];
    optimizer.lr = rises ? between(start, top, part) : between(top, end, part);
    if (!cycleMomentum || high === undefined || low === undefined) return;
    optimizer.betas = [rises ? between(high, low, part) : between(low, high, part), optimizer.betas[1]];
  }
}

function stepsOf({ totalSteps, epochs, stepsPerEpoch }: OneCycleOptions): number {
  if (totalSteps !== undefined) return expectInteger("totalSteps", totalSteps, 1);
  return expectInteger("epochs", epochs, 1) * expectInteger("stepsPerEpoch", stepsPerEpoch, 1);
}

function momentum(name: string, value: unknown): number {
  return expectNumber(name, value, (x) => x >= 0 && x < 1, "a number from 0 to below 1");
}

const ANNEAL: Record<Anneal, (from: number, to: number, part: number) => number> = {
  cos: (from, to, part) => to + ((from - to) / 2) * (1 + Math.cos(Math.PI * part)),
  linear: (from, to, part) => (to - from) * part + from,
};
