import { expectNumber, withDefaults } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { Tensor } from "../tensor/tensor.js";

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
  readonly eps: number;
  readonly weightDecay: number;
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
      return grad === null ? [] : [{ data: parameter.data, grad, state: this.state[i] as AdamWState }];
    });
    for (const made of new Set(moving.map(({ state }) => state.step))) {
      const group = moving.filter(({ state }) => state.step === made);
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
        made + 1,
      );
    }
    for (const { state } of moving) state.step += 1;
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
