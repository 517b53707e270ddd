import { DistilleryError } from "../errors.js";

/** Refuses NaN and infinity, before they reach the weights. */
export function expectFiniteLoss(name: string, value: number): number {
  if (Number.isFinite(value)) return value;
  throw new DistilleryError("NON_FINITE", `${name}: is not finite (got ${value}): lower the learning rate`);
}
