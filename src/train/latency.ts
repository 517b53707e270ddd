import { expectInteger } from "../checks.js";
import type { Dataset } from "../data/index.js";
import { inEvalMode } from "../nn/modes.js";
import type { Module } from "../nn/module.js";
import { noGrad } from "../tensor/autograd.js";
import { withArena } from "../tensor/buffer_pool.js";
import { expectDataset, expectModule } from "./arguments.js";

const LATENCY_RUNS = 200;
const THROUGHPUT_RUNS = 15;
const BATCH = 256;

/**
 * Milliseconds that a network in eval mode takes for one example of a data set: the median of many, once warm.
 *
 * @example
 * ```ts
 * console.log(`${measureLatency(student, test).toFixed(3)} ms`);
 * ```
 */
export function measureLatency(model: Module, data: Dataset): number {
  return medianTime(model, data, 1, LATENCY_RUNS);
}

/**
 * Examples of a data set that a network in eval mode classifies in a second, in batches of 256 (or of all that there
 * are): the median of several, once warm.
 *
 * @example
 * ```ts
 * console.log(`${Math.round(measureThroughput(student, test))} examples a second`);
 * ```
 */
export function measureThroughput(model: Module, data: Dataset): number {
  const examples = Math.min(BATCH, data?.length);
  return (1000 * examples) / medianTime(model, data, examples, THROUGHPUT_RUNS);
}

/** Milliseconds for the first examples, the median of so many runs after as many others. */
function medianTime(model: Module, data: Dataset, examples: number, runs: number): number {
  expectModule("model", model);
  expectDataset("data", data);
  expectInteger("data.length", data.length, 1);
  const { inputs } = data.slice(0, examples);
  const once = () => {
    const start = performance.now();
    withArena(() => noGrad(() => model.forward(inputs)));
    return performance.now() - start;
  };
  const times = inEvalMode(model, () => Array.from({ length: 2 * runs }, once).slice(runs));
  return times.sort((a, b) => a - b)[runs >> 1] as number;
}
