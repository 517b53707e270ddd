import type { Module } from "distillery";
import type { Weights } from "./baseline/weights.js";

/** A copy of a module's parameters and running statistics, for the plain implementation to start from. */
export function copyWeights(module: Module): Weights {
  const entries = Object.entries(module.stateDict());
  return Object.fromEntries(
    entries.flatMap(([key, tensor]) => (tensor.dtype === "float32" ? [[key, tensor.data.slice()]] : [])),
  );
}
