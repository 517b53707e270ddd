import { stat } from "node:fs/promises";
import type { Dataset } from "../data/index.js";
import type { Module } from "../nn/module.js";
import { measureLatency, measureThroughput } from "../train/index.js";
import type { NetworkSize } from "./result.js";

/** What a network weighs, by its file, and how fast it answers in this process. */
export async function measureSize(model: Module, file: string, data: Dataset): Promise<NetworkSize> {
  const { size } = await stat(file);
  return {
    parameters: model.parameterCount(),
    bytes: size,
    latencyMs: measureLatency(model, data),
    throughput: measureThroughput(model, data),
  };
}
