import { expectAtLeast0, expectInteger, optionsOf } from "../checks.js";
import {
  badState,
  expectOptimizer,
  LRScheduler,
  type SchedulerAttribute,
  type SchedulerStateDict,
} from "./lr_scheduler.js";
import type { Optimizer } from "./optimizer.js";
import { annealCosine, cycleAt, RESTARTS_DEFAULTS } from "./schedules.js";
import { dictField } from "./state_dict.js";

/** The options of {@link CosineAnnealingWarmRestarts}. */
export interface WarmRestartsOptions {
  /** How many calls of `step()` the first cycle takes. */
  t0: number;
  /** How many times as long each cycle is as the one before; default 1. */
  tMult?: number;
  /** The least rate; default 0. */
  etaMin?: number;
}

const DEFAULTS = { tMult: RESTARTS_DEFAULTS.tMult, etaMin: 0 } as const;

/**
 * Half a cosine down to `etaMin`, which begins anew after `t0` calls of `step()` and after each later cycle (SGDR:
 * Loshchilov and Hutter, 2017): `torch.optim.lr_scheduler.CosineAnnealingWarmRestarts`. As there, a rate that was set
 * by hand is replaced at the next step.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for options that are unknown or out of range.
 * @example
 * ```ts
 * const scheduler = new CosineAnnealingWarmRestarts(optimizer, { t0: 10, tMult: 2 });
 * ```
 */
export class CosineAnnealingWarmRestarts extends LRScheduler {
  #options: Required<WarmRestartsOptions>;

  constructor(optimizer: Optimizer, options: WarmRestartsOptions) {
    expectOptimizer(optimizer);
    const all = checked(optionsOf("options", DEFAULTS, options, ["t0"]));
    super(optimizer);
    this.#options = all;
    this.moveTo(0);
  }

  override stateDict(): SchedulerStateDict {
    // PyTorch's own step() doesn't count.
    return { ...super.stateDict(), _step_count: 0 };
  }

  override loadStateDict(state: unknown): this {
    const [t0, tMult, etaMin] = ["T_0", "T_mult", "eta_min"].map((key) => {
      const value = dictField(state, key);
      if (typeof value === "number") return value;
      throw badState(`${key}: expected that of a CosineAnnealingWarmRestarts, got ${String(value)}`);
    });
    const options = checked({ t0, tMult, etaMin });
    Object.assign(this, this.readPlace(state));
    this.#options = options;
    return this;
  }

  protected override lrAt(step: number, baseLr: number): number {
    const { t0, tMult, etaMin } = this.#options;
    const { at, of } = cycleAt(step, t0, tMult);
    return annealCosine(baseLr, etaMin, at / of);
  }

  protected override attributes(): Record<string, SchedulerAttribute> {
    const { t0, tMult, etaMin } = this.#options;
    const { at, of } = cycleAt(this.lastStep, t0, tMult);
    return { T_0: t0, T_i: of, T_mult: tMult, eta_min: etaMin, T_cur: at };
  }
}

function checked(options: Required<WarmRestartsOptions>): Required<WarmRestartsOptions> {
  expectInteger("t0", options.t0, 1);
  expectInteger("tMult", options.tMult, 1);
  expectAtLeast0("etaMin", options.etaMin);
  return options;
}
