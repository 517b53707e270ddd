import { dictField, numberField } from "./dict.js";

/**
 * The corners of a one-cycle schedule, which PyTorch keeps in the optimizer's parameter group and not in the
 * scheduler: learning rates and, where momentum is cycled, values of beta1.
 */
export type Cycle = {
  initial_lr: number;
  max_lr: number;
  min_lr: number;
  max_momentum?: number;
  base_momentum?: number;
};

/** The corners in a parameter group; null where no one-cycle schedule left any. */
export function cycleFrom(group: unknown): Cycle | null {
  if (dictField(group, "max_lr") === undefined || dictField(group, "min_lr") === undefined) return null;
  const rate = (name: string) => numberField(group, name, (x) => x > 0, "a number above 0");
  const rates = { initial_lr: rate("initial_lr"), max_lr: rate("max_lr"), min_lr: rate("min_lr") };
  if (dictField(group, "max_momentum") === undefined) return rates;
  const momentum = (name: string) => numberField(group, name, (x) => x >= 0 && x < 1, "a number from 0 to below 1");
  return { ...rates, max_momentum: momentum("max_momentum"), base_momentum: momentum("base_momentum") };
}
