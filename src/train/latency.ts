import type { Dataset } from "../data/index.js";
import { inEvalMode } from "../nn/modes.js";
import type { Module } from "../nn/module.js";
import { noGrad } from "../tensor/autograd.js";
import { scoped } from "../tensor/memory.js";

const RUNS = 200;

/** Milliseconds that a network in eval mode takes for one example of a data set: the median of many, once warm. */
export function measureLatency(model: Module, data: Dataset): number {
  const { inputs } = data.slice(0, 1);
  const once = () => {
    const start = performance.now();
    scoped(() => noGrad(() => model.forward(inputs)));
    return performance.now() - start;
  };
  const times = inEvalMode(model, () => Array.from({ length: 2 * RUNS }, once).slice(RUNS));
  return times.sort((a, b) => a - b)[RUNS / 2] as number;
}
