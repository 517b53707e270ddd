import { types } from "node:util";
import { badArgument } from "../checks.js";
import { Module } from "./module.js";

/** Refuses anything but a network; `BAD_ARGUMENT`. */
export function expectModule(name: string, value: unknown): asserts value is Module {
  if (value instanceof Module) return;
  throw badArgument(name, types.isPromise(value) ? "a Module, awaited before" : "a Module", value);
}
