import * as v from "valibot";
import { badArgument, expectAtLeast0, expectFlags, expectFractionBelow1, optionsOf } from "../checks.js";
import { native } from "../native.js";
import { boolean, defineEntry, described, expected, fractionBelow1, nonNegative } from "../registry/index.js";
import { newFloats } from "../tensor/buffer_pool.js";
import type { Tensor } from "../tensor/tensor.js";
import { gradsOf, Optimizer, type OptimizerContext, partition } from "./optimizer.js";
import type { ParamGroup, Params } from "./param_group.js";

/** The options of {@link Adam} and {@link AdamW}, with PyTorch's defaults. */
export interface AdamOptions {
  /** Learning rate; default 1e-3. */
  lr?: number;
  /** Decay of the averages of the gradient and of its square; default [0.9, 0.999]. */
  betas?: readonly [number, number];
  /** Added to the denominator; default 1e-8. */
  eps?: number;
  /** Weight decay; default 0 in Adam, which adds it to the gradient, and 1e-2 in AdamW, which shrinks the weights. */
  weightDecay?: number;
  /** Whether the largest average of the square so far is used (Reddi et al., 2018); default false. */
  amsgrad?: boolean;
  /** Whether parameters move along the gradient and not against it; default false. */
  maximize?: boolean;
}

/** A parameter group of {@link Adam} or {@link AdamW}. */
export interface AdamGroup extends ParamGroup {
  betas: readonly [number, number];
  eps: number;
  amsgrad: boolean;
  maximize: boolean;
  readonly decoupledWeightDecay: boolean;
}

/** What {@link Adam} and {@link AdamW} keep for one parameter. */
export interface AdamState {
  /** How many steps the parameter has made. */
  step: number;
  expAvg: Float32Array;
  expAvgSq: Float32Array;
  /** With `amsgrad`. */
  maxExpAvgSq?: Float32Array;
}

const DEFAULTS = { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, amsgrad: false, maximize: false } as const;

/** What {@link Adam} and {@link AdamW} share: their groups differ in `decoupledWeightDecay` alone. */
export abstract class AdamBase extends Optimizer<AdamGroup, AdamState> {
  protected constructor(params: Params<AdamOptions>, options: AdamOptions, decoupledWeightDecay: boolean) {
    super(params, { ...optionsOf("options", DEFAULTS, options), decoupledWeightDecay }, ["decoupledWeightDecay"]);
  }

  protected override update(group: AdamGroup, params: readonly Tensor[], gradScale: number): void {
    const { lr, betas, eps, weightDecay, decoupledWeightDecay, amsgrad, maximize } = group;
    for (const [step, alike] of partition(params, (param) => this.#stateOf(param, amsgrad).step)) {
      const states = alike.map((param) => this.#stateOf(param, amsgrad));
      native.adamStep({
        params: alike.map(({ data }) => data),
        grads: gradsOf(alike),
        expAvgs: states.map(({ expAvg }) => expAvg),
        expAvgSqs: states.map(({ expAvgSq }) => expAvgSq),
        maxExpAvgSqs: amsgrad ? states.flatMap(({ maxExpAvgSq }) => maxExpAvgSq ?? []) : null,
        lr,
        beta1: betas[0],
        beta2: betas[1],
        eps,
        weightDecay,
        decoupledWeightDecay,
        step: step + 1,
        gradScale: maximize ? -gradScale : gradScale,
      });
      for (const state of states) state.step = step + 1;
    }
  }

  /** A parameter's state; its maxima begin when `amsgrad` is switched on. */
  #stateOf(param: Tensor, amsgrad: boolean): AdamState {
    let state = this.state.get(param);
    if (state === undefined) {
      state = { step: 0, expAvg: newFloats(param.size), expAvgSq: newFloats(param.size) };
      this.state.set(param, state);
    }
    if (amsgrad) state.maxExpAvgSq ??= newFloats(param.size);
    return state;
  }

  protected override checkGroup({ lr, betas, eps, weightDecay, amsgrad, maximize }: AdamGroup): void {
    expectAtLeast0("lr", lr);
    if (betas?.length !== 2) throw badArgument("betas", "two numbers", betas);
    expectFractionBelow1("betas[0]", betas[0]);
    expectFractionBelow1("betas[1]", betas[1]);
    expectAtLeast0("eps", eps);
    expectAtLeast0("weightDecay", weightDecay);
    expectFlags({ amsgrad, maximize });
  }

  protected override groupKeys(): readonly string[] {
    return [
      "lr",
      "betas",
      "eps",
      "weight_decay",
      "amsgrad",
      "maximize",
      "foreach",
      "capturable",
      "differentiable",
      "fused",
      "decoupled_weight_decay",
    ];
  }

  protected override stateKeys({ amsgrad }: Partial<AdamGroup>): readonly string[] {
    return ["step", "exp_avg", "exp_avg_sq", ...(amsgrad ? ["max_exp_avg_sq"] : [])];
  }
}

/**
 * Adam (Kingma and Ba, 2015), with weight decay added to the gradient: `torch.optim.Adam`. All parameters of a group
 * move in one call of the kernel.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for options that are unknown or out of range.
 * @example
 * ```ts
 * const optimizer = new Adam(
 *   [{ params: backbone.parameters(), lr: 1e-4 }, { params: head.parameters() }],
 *   { lr: 1e-3 },
 * );
 * ```
 */
export class Adam extends AdamBase {
  constructor(params: Params<AdamOptions>, options: AdamOptions = {}) {
    super(params, options, false);
  }
}

const TWO_BETAS = expected("two numbers from 0 to below 1, as [0.9, 0.999]");

/** The arguments of `adam` and `adamw` in expressions. */
export const adamArguments = {
  betas: described(
    v.optional(v.strictTuple([fractionBelow1(), fractionBelow1()], TWO_BETAS), [...DEFAULTS.betas]),
    "decay of the averages of the gradient and of its square",
  ),
  eps: described(v.optional(nonNegative(), DEFAULTS.eps), "added to the denominator"),
  amsgrad: described(v.optional(boolean(), DEFAULTS.amsgrad), "use the largest average of the square so far"),
};

/** `adam` in expressions. */
export const adamEntry = defineEntry({
  name: "adam",
  help: "Adam, with weight decay added to the gradient",
  options: adamArguments,
  create: (options, { params, lr, weightDecay }: OptimizerContext): Optimizer =>
    new Adam(params, { ...options, lr, weightDecay }),
});
