import { DistilleryError } from "../errors.js";
import { FrozenModel } from "../graph/index.js";
import type { Module } from "../nn/module.js";
import { currentGenerator } from "../tensor/random.js";
import type { Tensor } from "../tensor/tensor.js";
import { isTracing } from "../tensor/tracer.js";
import { getNumThreads } from "../threads.js";
import { live, type NetworkTeacherOptions } from "./live.js";
import type { Teacher } from "./teacher.js";

/** Forward passes in flight, at most: enough that no thread waits for the next one. */
const PREFETCH_DEPTH = 4;
/** The bytes that these may hold together: kernels of larger batches use all threads anyway. */
const MAX_PREFETCH_BYTES = 128e6;

/**
 * A network as it is when its outputs are first requested, at the start of a run: its weights are copied then, and what
 * becomes of its own afterwards does not matter. Its forward passes for the next batches run ahead, on the threads that the
 * student's small kernels leave idle, with the same bits. In "train" mode the network's own running statistics move.
 *
 * Any network of the library's operations can be frozen. One whose forward depends on the batch, or has operations that only
 * run in TypeScript, is used as {@link live}.
 *
 * @example
 * ```ts
 * await distill({ teacher: frozen(network), student, data });
 * ```
 */
export function frozen(module: Module, options: NetworkTeacherOptions = {}): Teacher {
  const { mode = "eval", taps = [] } = options;
  const alive = live(module, options);
  /** Null if there can be none. */
  let model: FrozenModel | null | undefined;
  const modelFor = (inputs: Tensor): FrozenModel | null => {
    if (model === undefined) model = freeze(module, inputs.shape.slice(1), { training: mode === "train", taps });
    return model?.fits(inputs) ? model : null;
  };
  return {
    ...alive,
    name: "frozen",
    outputs(batch) {
      const model = isTracing() ? null : modelFor(batch.inputs);
      if (model === null) return alive.outputs(batch);
      const { output, taps } = model.take(batch.inputs, currentGenerator());
      return { logits: output, taps };
    },
    prefetch: ({ inputs }) => modelFor(inputs)?.enqueue(inputs, currentGenerator()),
    prefetchDepth(rows) {
      const threads = getNumThreads();
      if (threads < 2 || model === null) return 0;
      // Before the first pass nobody knows how much memory one takes.
      if (model === undefined) return 1;
      return Math.min(PREFETCH_DEPTH, threads + 1, Math.floor(MAX_PREFETCH_BYTES / model.activationBytes(rows)));
    },
    discard: () => model?.discard(),
    close() {
      model?.release();
      model = undefined;
    },
  };
}

function freeze(
  module: Module,
  sampleShape: readonly number[],
  options: { training: boolean; taps: readonly string[] },
): FrozenModel | null {
  try {
    return FrozenModel.from(module, sampleShape, options);
  } catch (error) {
    // The live network says by itself what is wrong with the inputs.
    if (error instanceof DistilleryError) return null;
    throw error;
  }
}
