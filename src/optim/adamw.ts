import { expectNumber, withDefaults } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { Tensor } from "../tensor/tensor.js";
import { type AdamWStateDict, readAdamW, writeAdamW } from "./adamw_state.js";
import type { Cycle } from "./cycle.js";

/** The options of {@link AdamW}, with PyTorch's defaults. */
export interface AdamWOptions {
  /** Learning rate; default 1e-3. */
  lr?: number;
  /** Decay of the averages of the gradient and of its square; default [0.9, 0.999]. */
  betas?: readonly [number, number];
  /** Added to the denominator; default 1e-8. */
  eps?: number;
  /** Decoupled weight decay; default 1e-2. */
  weightDecay?: number;
}

/** What AdamW keeps for one parameter. */
export interface AdamWState {
  expAvg: Float32Array;
  expAvgSq: Float32Array;
  /** How many steps the parameter has made. */
  step: number;
}

const DEFAULTS = { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 1e-2 } as const;

/**
 * AdamW (Loshchilov and Hutter, 2019): `torch.optim.AdamW`. All parameters move in one call of the kernel.
 *
 * @example
 * ```ts
 * const optimizer = new AdamW(student.parameters(), { lr: 6e-4, weightDecay: 1e-5 });
 * optimizer.zeroGrad();
 * loss.backward();
 * optimizer.step();
 * ```
 */
export class AdamW {
  /** The learning rate; a scheduler sets it. */
  lr: number;
  /** The decays; a scheduler that cycles momentum sets the first. */
  betas: readonly [number, number];
  eps: number;
  weightDecay: number;
  /** The corners that a OneCycleLR moves between. @internal */
  cycle: Cycle | null = null;
  readonly parameters: readonly Tensor[];
  /** One entry a parameter, in the order of `parameters`. */
  readonly state: readonly AdamWState[];

  constructor(parameters: readonly Tensor[], options: AdamWOptions = {}) {
    const { lr, betas, eps, weightDecay } = withDefaults(DEFAULTS, options);
    const atLeast0 = (x: number) => x >= 0;
    this.lr = expectNumber("lr", lr, atLeast0, "a number of at least 0");
    this.betas = [beta("betas[0]", betas[0]), beta("betas[1]", betas[1])];
    this.eps = expectNumber("eps", eps, atLeast0, "a number of at least 0");
    this.weightDecay = expectNumber("weightDecay", weightDecay, atLeast0, "a number of at least 0");
    this.parameters = expectParameters(parameters);
    this.state = this.parameters.map(({ size }) => ({
      expAvg: new Float32Array(size),
      expAvgSq: new Float32Array(size),
      step: 0,
    }));
  }

  /** Forgets the gradients of all parameters. */
  zeroGrad(): void {
    for (const parameter of this.parameters) parameter.zeroGrad();
  }

  /** Moves every parameter that has a gradient. */
  step(): void {
    const moving = this.parameters.flatMap((parameter, i) => {
      const grad = parameter.gradData;
      const { data, gradScale } = parameter;
      return grad === null ? [] : [{ data, grad, gradScale, state: this.state[i] as AdamWState }];
    });
    const alike = ({ state, gradScale }: (typeof moving)[number]) => `${state.step} ${gradScale}`;
    for (const kind of new Set(moving.map(alike))) {
      const group = moving.filter((slot) => alike(slot) === kind);
      const { state, gradScale } = group[0] as (typeof moving)[number];
      native.adamwStep(
        group.map(({ data }) => data),
        group.map(({ grad }) => grad),
        group.map(({ state }) => state.expAvg),
        group.map(({ state }) => state.expAvgSq),
        this.lr,
        this.betas[0],
        this.betas[1],
        this.eps,
        this.weightDecay,
        state.step + 1,
        gradScale,
      );
    }
    for (const { state } of moving) state.step += 1;
  }

  /**
   * The moments, steps and options in PyTorch's structure, for `saveCheckpoint`: a
   * `torch.optim.AdamW` over the same parameters loads it and goes on. The averages are those in use, not copies.
   *
   * @example
   * ```ts
   * await saveCheckpoint({ model: net.stateDict(), optimizer: optimizer.stateDict() }, "checkpoint.pth");
   * // in Python: optimizer.load_state_dict(torch.load("checkpoint.pth", weights_only=True)["optimizer"])
   * ```
   */
  stateDict(): AdamWStateDict {
    return writeAdamW(this);
  }

  /**
   * Takes over a state dict, of this class or of `torch.optim.AdamW`, with its options, all or nothing. As in PyTorch,
   * make the scheduler before: what it set is replaced.
   *
   * @throws DistilleryError `STATE_DICT_MISMATCH` or `SHAPE_MISMATCH` for one of other parameters, or of another
   * optimizer; `BAD_ARGUMENT` for options out of range.
   */
  loadStateDict(state: unknown): this {
    const { options, cycle, moments } = readAdamW(state, this.parameters);
    Object.assign(this, options, { cycle: cycle ?? this.cycle });
    moments.forEach(({ expAvg, expAvgSq, step }, i) => {
      const slot = this.state[i] as AdamWState;
      slot.expAvg.set(expAvg);
      slot.expAvgSq.set(expAvgSq);
      slot.step = step;
    });
    return this;
  }
}

/** Refuses an empty list, what is no tensor, and a parameter that comes twice. */
export function expectParameters(parameters: readonly Tensor[]): readonly Tensor[] {
  if (!Array.isArray(parameters) || parameters.length === 0 || !parameters.every((p) => p instanceof Tensor)) {
    throw new DistilleryError("BAD_ARGUMENT", "parameters: expected a list of at least one parameter");
  }
  if (new Set(parameters).size !== parameters.length) {
    throw new DistilleryError("BAD_ARGUMENT", "parameters: expected each parameter once, got one twice");
  }
  return [...parameters];
}

function beta(name: string, value: unknown): number {
  return expectNumber(name, value, (x) => x >= 0 && x < 1, "a number from 0 to below 1");
}
