import { show } from "../checks.js";
import type { Dataset } from "../data/index.js";
import { DistilleryError } from "../errors.js";
import { Module } from "../nn/module.js";

/** Refuses what is no network. */
export function expectModule(name: string, value: unknown): asserts value is Module {
  if (value instanceof Module) return;
  throw new DistilleryError("BAD_ARGUMENT", `${name}: expected a Module, got ${show(value)}`);
}

/** Refuses what is no data set. */
export function expectDataset(name: string, value: unknown): asserts value is Dataset {
  const { batch, slice, length } = (value ?? {}) as Partial<Dataset>;
  if (typeof batch === "function" && typeof slice === "function" && typeof length === "number") return;
  throw new DistilleryError("BAD_ARGUMENT", `${name}: expected a data set, got ${show(value)}`);
}

/** Refuses NaN and infinity, before they reach the weights. */
export function expectFinite(name: string, value: number): number {
  if (Number.isFinite(value)) return value;
  throw new DistilleryError("NON_FINITE", `${name}: is not finite (got ${value}): lower the learning rate`);
}
