import { withDefaults } from "../checks.js";
import { defineEntry } from "../registry/index.js";
import { AdamBase, type AdamOptions, adamArguments } from "./adam.js";
import type { Optimizer, OptimizerContext } from "./optimizer.js";
import type { Params } from "./param_group.js";

/**
 * AdamW (Loshchilov and Hutter, 2019), Adam with decoupled weight decay: `torch.optim.AdamW`.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for options that are unknown or out of range.
 * @example
 * ```ts
 * const optimizer = new AdamW(student.parameters(), { lr: 6e-4, weightDecay: 1e-5 });
 * optimizer.zeroGrad();
 * loss.backward();
 * optimizer.step();
 * ```
 */
export class AdamW extends AdamBase {
  constructor(params: Params<AdamOptions>, options: AdamOptions = {}) {
    super(params, withDefaults({ weightDecay: 1e-2 }, options), true);
  }
}

/** `adamw` in expressions. */
export const adamwEntry = defineEntry({
  name: "adamw",
  help: "Adam with decoupled weight decay",
  options: adamArguments,
  create: (options, { params, lr, weightDecay }: OptimizerContext): Optimizer =>
    new AdamW(params, { ...options, lr, weightDecay }),
});
