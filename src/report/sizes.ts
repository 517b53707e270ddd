import { safetensorsBytes } from "../checkpoint/index.js";
import type { Dataset } from "../data/index.js";
import type { Module } from "../nn/module.js";
import { measureLatency } from "../train/index.js";
import type { SizeFigures } from "./report_data.js";

/** What a network weighs, and where there are examples how many milliseconds it takes for one. */
export function sizeOf(network: Module, examples: Dataset | null): SizeFigures {
  return {
    parameters: network.parameterCount(),
    bytes: safetensorsBytes(network.stateDict()),
    ...(examples && { latencyMs: measureLatency(network, examples) }),
  };
}
