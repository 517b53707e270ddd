import { Modes } from "../nn/modes.js";
import type { Module } from "../nn/module.js";
import { isTracing } from "../tensor/tracer.js";
import { getNumThreads } from "../threads.js";
import { FrozenModel } from "./frozen_model.js";
import { live, type NetworkTeacherOptions } from "./live.js";
import type { Teacher } from "./teacher.js";

/** Forward passes in flight, at most: enough that no thread waits for the next one. */
const PREFETCH_DEPTH = 4;
/** The bytes that these may hold together: kernels of larger batches use all threads anyway. */
const MAX_PREFETCH_BYTES = 128e6;

/**
 * A network as it is now: its weights are copied, and what becomes of its own afterwards does not matter. Its forward
 * passes for the next batches run ahead, on the threads that the student's small kernels leave idle, with the same bits. In
 * "train" mode the network's own running statistics are read and moved.
 *
 * A network with layers that can't run natively is used as {@link live}.
 *
 * @example
 * ```ts
 * await distill({ teacher: frozen(network), student, data });
 * ```
 */
export function frozen(module: Module, options: NetworkTeacherOptions = {}): Teacher {
  const { mode = "eval", taps = [] } = options;
  const alive = live(module, options);
  const model = taps.length > 0 ? null : FrozenModel.of(module);
  if (model === null) return alive;
  const modes = new Modes([[module, mode === "train"]]);
  // Null if a network's own train() leaves layers in different modes.
  const training = modes.during(() => model.training);
  if (training === null) return alive;
  const fits = (shape: readonly number[]) => shape.length === 2 && shape[1] === model.inFeatures;
  return {
    ...alive,
    name: "frozen",
    outputs(batch) {
      if (!fits(batch.inputs.shape) || isTracing()) return alive.outputs(batch);
      return { logits: model.take(batch.inputs, training).logits, taps: {} };
    },
    prefetch({ inputs }) {
      if (fits(inputs.shape)) model.enqueue(inputs, training);
    },
    prefetchDepth(rows) {
      const threads = getNumThreads();
      if (threads < 2) return 0;
      return Math.min(PREFETCH_DEPTH, threads + 1, Math.floor(MAX_PREFETCH_BYTES / model.activationBytes(rows)));
    },
    close: () => model.release(),
  };
}
