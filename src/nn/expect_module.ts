import { show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { Module } from "./module.js";

/** Refuses anything but a network; `BAD_ARGUMENT`. */
export function expectModule(name: string, value: unknown): asserts value is Module {
  if (value instanceof Module) return;
  throw new DistilleryError("BAD_ARGUMENT", `${name}: expected a Module, got ${show(value)}`);
}
