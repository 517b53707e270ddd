import { expectInteger, expectNumber, withDefaults } from "../checks.js";
import type { AdamW } from "./adamw.js";
import type { Cycle } from "./cycle.js";
import { COURSE_DEFAULTS, type CourseOptions, cornersOf, courseOf, onCourse } from "./one_cycle_course.js";
import { type CycleShape, type OneCycleStateDict, readOneCycle, writeOneCycle } from "./one_cycle_state.js";
import { Scheduler } from "./scheduler.js";

/** The options of {@link OneCycleLR}, with PyTorch's defaults. */
export interface OneCycleOptions extends CourseOptions {
  /** The learning rate at the top. */
  maxLr: number;
  /** The length of the cycle in steps; or give `epochs` and `stepsPerEpoch`. */
  totalSteps?: number;
  epochs?: number;
  stepsPerEpoch?: number;
  /** Whether beta1 falls and rises against the rate; default true. */
  cycleMomentum?: boolean;
  /** The lowest beta1; default 0.85. */
  baseMomentum?: number;
  /** The highest beta1; default 0.95. */
  maxMomentum?: number;
}

const DEFAULTS = { ...COURSE_DEFAULTS, cycleMomentum: true, baseMomentum: 0.85, maxMomentum: 0.95 } as const;

/**
 * One cycle of the learning rate (Smith and Topin, 2017): up to `maxLr`, then down, with beta1 moving the other way.
 * `torch.optim.lr_scheduler.OneCycleLR` with two phases. Call `step()` after each `optimizer.step()`.
 *
 * @example
 * ```ts
 * const scheduler = new OneCycleLR(optimizer, { maxLr: 6e-4, epochs: 150, stepsPerEpoch: 16, divFactor: 20 });
 * ```
 */
export class OneCycleLR extends Scheduler {
  #shape: CycleShape;

  constructor(optimizer: AdamW, options: OneCycleOptions) {
    super(optimizer);
    const all = withDefaults(DEFAULTS, options);
    const maxLr = expectNumber("maxLr", all.maxLr, (x) => x > 0, "a number above 0");
    const [initialLr, , finalLr] = cornersOf(maxLr, all);
    const low = momentum("baseMomentum", all.baseMomentum);
    const high = momentum("maxMomentum", all.maxMomentum);
    this.#shape = { ...courseOf(stepsOf(all), all), cycleMomentum: all.cycleMomentum, initialLr };
    const momenta = all.cycleMomentum ? { max_momentum: high, base_momentum: low } : {};
    optimizer.cycle = { initial_lr: initialLr, max_lr: maxLr, min_lr: finalLr, ...momenta };
    this.apply();
  }

  /** The length of the cycle. */
  override get totalSteps(): number {
    return this.#shape.totalSteps;
  }

  /**
   * Length, course and place in PyTorch's structure, for `OneCycleLR.load_state_dict` there. The rates between which it
   * moves are in the optimizer's state, as they are in PyTorch: save both.
   */
  stateDict(): OneCycleStateDict {
    return writeOneCycle(this.#shape, this.lastStep, this.optimizer.lr);
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

  protected override apply(): void {
    const { optimizer, lastStep } = this;
    const {
      initial_lr: start,
      max_lr: top,
      min_lr: end,
      max_momentum: high,
      base_momentum: low,
    } = optimizer.cycle as Cycle;
    optimizer.lr = onCourse(this.#shape, lastStep, [start, top, end]);
    if (!this.#shape.cycleMomentum || high === undefined || low === undefined) return;
    optimizer.betas = [onCourse(this.#shape, lastStep, [high, low, high]), optimizer.betas[1]];
  }
}

function stepsOf({ totalSteps, epochs, stepsPerEpoch }: OneCycleOptions): number {
  if (totalSteps !== undefined) return expectInteger("totalSteps", totalSteps, 1);
  return expectInteger("epochs", epochs, 1) * expectInteger("stepsPerEpoch", stepsPerEpoch, 1);
}

function momentum(name: string, value: unknown): number {
  return expectNumber(name, value, (x) => x >= 0 && x < 1, "a number from 0 to below 1");
}
