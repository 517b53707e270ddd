import { expectInteger, expectNumber, withDefaults } from "../checks.js";
import { DistilleryError } from "../errors.js";
import type { AdamW } from "./adamw.js";

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

interface Point {
  step: number;
  lr: number;
  momentum: number;
}

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
  readonly totalSteps: number;
  /** How many steps were made. */
  lastStep = 0;
  readonly #optimizer: AdamW;
  readonly #corners: readonly [Point, Point, Point];
  readonly #between: (from: number, to: number, part: number) => number;
  readonly #cycleMomentum: boolean;

  constructor(optimizer: AdamW, options: OneCycleOptions) {
    const all = withDefaults(DEFAULTS, options);
    const positive = (x: number) => x > 0;
    const maxLr = expectNumber("maxLr", all.maxLr, positive, "a number above 0");
    const pctStart = expectNumber("pctStart", all.pctStart, (x) => x >= 0 && x <= 1, "a number from 0 to 1");
    const initialLr = maxLr / expectNumber("divFactor", all.divFactor, positive, "a number above 0");
    const finalLr = initialLr / expectNumber("finalDivFactor", all.finalDivFactor, positive, "a number above 0");
    const low = momentum("baseMomentum", all.baseMomentum);
    const high = momentum("maxMomentum", all.maxMomentum);
    this.totalSteps = stepsOf(all);
    this.#corners = [
      { step: 0, lr: initialLr, momentum: high },
      { step: pctStart * this.totalSteps - 1, lr: maxLr, momentum: low },
      { step: this.totalSteps - 1, lr: finalLr, momentum: high },
    ];
    this.#between = interpolation(all.annealStrategy);
    this.#cycleMomentum = all.cycleMomentum;
    this.#optimizer = optimizer;
    this.#apply();
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

  #apply(): void {
    const [start, top, end] = this.#corners;
    const [from, to] = this.lastStep <= top.step ? [start, top] : [top, end];
    const length = to.step - from.step;
    // A phase of no length is over: it stands at its end.
    const part = length === 0 ? 1 : (this.lastStep - from.step) / length;
    this.#optimizer.lr = this.#between(from.lr, to.lr, part);
    if (!this.#cycleMomentum) return;
    this.#optimizer.betas = [this.#between(from.momentum, to.momentum, part), this.#optimizer.betas[1]];
  }
}

function stepsOf({ totalSteps, epochs, stepsPerEpoch }: OneCycleOptions): number {
  if (totalSteps !== undefined) return expectInteger("totalSteps", totalSteps, 1);
  return expectInteger("epochs", epochs, 1) * expectInteger("stepsPerEpoch", stepsPerEpoch, 1);
}

function momentum(name: string, value: unknown): number {
  return expectNumber(name, value, (x) => x >= 0 && x < 1, "a number from 0 to below 1");
}

function interpolation(strategy: unknown): (from: number, to: number, part: number) => number {
  if (strategy === "cos") return (from, to, part) => to + ((from - to) / 2) * (1 + Math.cos(Math.PI * part));
  if (strategy === "linear") return (from, to, part) => (to - from) * part + from;
  throw new DistilleryError("BAD_ARGUMENT", `annealStrategy: expected "cos" or "linear", got ${String(strategy)}`);
}
