import * as v from "valibot";
import { argumentError, expectAtLeast0, expectFinite, expectFlags, optionsOf } from "../checks.js";
import { native } from "../native.js";
import { boolean, defineEntry, described, finite, nonNegative } from "../registry/index.js";
import { newFloats } from "../tensor/buffer_pool.js";
import type { Tensor } from "../tensor/tensor.js";
import { gradsOf, Optimizer, type OptimizerContext, partition } from "./optimizer.js";
import type { ParamGroup, Params } from "./param_group.js";

/** The options of {@link SGD}, with PyTorch's defaults. */
export interface SGDOptions {
  /** Learning rate; default 1e-3. */
  lr?: number;
  /** What of the momentum buffer remains in each step; default 0: no buffer is kept. */
  momentum?: number;
  /** One minus this is what the gradient adds to the buffer; default 0. */
  dampening?: number;
  /** Times the parameter and added to the gradient; default 0. */
  weightDecay?: number;
  /** Whether each step looks ahead by the momentum (Nesterov); default false. */
  nesterov?: boolean;
  /** Whether parameters move along the gradient and not against it; default false. */
  maximize?: boolean;
}

/** A parameter group of {@link SGD}. */
export interface SGDGroup extends ParamGroup {
  momentum: number;
  dampening: number;
  nesterov: boolean;
  maximize: boolean;
}

const DEFAULTS = { lr: 1e-3, momentum: 0, dampening: 0, weightDecay: 0, nesterov: false, maximize: false } as const;

/**
 * Stochastic gradient descent, with momentum (Sutskever et al., 2013): `torch.optim.SGD`. All parameters of a group
 * move in one call of the kernel.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for options that are unknown or out of range, and for `nesterov` without
 * momentum or with dampening.
 * @example
 * ```ts
 * const optimizer = new SGD(student.parameters(), { lr: 0.05, momentum: 0.9, weightDecay: 5e-4, nesterov: true });
 * ```
 */
export class SGD extends Optimizer<SGDGroup, { momentumBuffer: Float32Array }> {
  constructor(params: Params<SGDOptions>, options: SGDOptions = {}) {
    super(params, optionsOf("options", DEFAULTS, options));
  }

  protected override update(group: SGDGroup, params: readonly Tensor[], gradScale: number): void {
    const { lr, momentum, dampening, weightDecay, nesterov, maximize } = group;
    for (const [isFirst, alike] of partition(params, (param) => !this.state.has(param))) {
      const states = alike.map((param) => this.state.get(param) ?? { momentumBuffer: newFloats(param.size) });
      native.sgdStep({
        params: alike.map(({ data }) => data),
        grads: gradsOf(alike),
        momentumBuffers: momentum === 0 ? null : states.map(({ momentumBuffer }) => momentumBuffer),
        lr,
        momentum,
        dampening,
        weightDecay,
        nesterov,
        isFirst,
        gradScale: maximize ? -gradScale : gradScale,
      });
      if (momentum !== 0) for (const [i, param] of alike.entries()) this.state.set(param, states[i]);
    }
  }

  protected override checkGroup(group: SGDGroup): void {
    const { momentum, dampening, nesterov, maximize } = group;
    for (const name of ["lr", "momentum", "weightDecay"] as const) {
      expectAtLeast0(name, group[name]);
    }
    expectFinite("dampening", dampening);
    expectFlags({ nesterov, maximize });
    if (nesterov && (momentum === 0 || dampening !== 0)) {
      throw argumentError("nesterov", "expected a momentum above 0 and a dampening of 0");
    }
  }

  protected override groupKeys(): readonly string[] {
    return [
      "lr",
      "momentum",
      "dampening",
      "weight_decay",
      "nesterov",
      "maximize",
      "foreach",
      "differentiable",
      "fused",
    ];
  }

  protected override stateKeys({ momentum }: Partial<SGDGroup>): readonly string[] {
    return momentum === 0 ? [] : ["momentum_buffer"];
  }
}

/** `sgd` in expressions. */
export const sgdEntry = defineEntry({
  name: "sgd",
  help: "stochastic gradient descent, with weight decay added to the gradient",
  options: {
    momentum: described(
      v.optional(nonNegative(), DEFAULTS.momentum),
      "what of the momentum buffer remains in each step",
    ),
    dampening: described(
      v.optional(finite(), DEFAULTS.dampening),
      "one minus this is what the gradient adds to the buffer",
    ),
    nesterov: described(v.optional(boolean(), DEFAULTS.nesterov), "look ahead by the momentum"),
  },
  create: (options, { params, lr, weightDecay }: OptimizerContext): Optimizer =>
    new SGD(params, { ...options, lr, weightDecay }),
});
