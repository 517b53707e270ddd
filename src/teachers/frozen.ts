import { expectOptions } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { bytesOf } from "../files/index.js";
import { FrozenModel, type TraceOptions } from "../graph/index.js";
import type { Outputs } from "../losses/loss.js";
import { fitNetwork, inputsOf } from "../models/fit_network.js";
import type { Module } from "../nn/module.js";
import type { StateDict } from "../nn/state_dict.js";
import { currentPrecision } from "../tensor/precision.js";
import { currentGenerator } from "../tensor/random.js";
import { outsideStep } from "../tensor/step.js";
import type { Tensor } from "../tensor/tensor.js";
import { isTracing } from "../tensor/tracer.js";
import { getNumThreads } from "../threads.js";
import { ofRuns } from "./for_run.js";
import { live, type NetworkTeacherOptions } from "./live.js";
import { computed, type Teacher } from "./teacher.js";

/** The maximum number of forward passes in flight: enough that no thread waits for the next one. */
const PREFETCH_DEPTH = 4;
/** The maximum number of bytes that these hold together: with larger batches, kernels use all threads anyway. */
const MAX_PREFETCH_BYTES = 128e6;

/**
 * A network as it is when its outputs are first requested, at the start of a run: its weights are copied then, so later
 * changes to the network have no effect. Its forward passes for the next batches run ahead, on threads that the
 * student's small kernels leave idle, with the same bits. In "train" mode the network's own running statistics are
 * updated.
 *
 * Any network made of the library's operations can be frozen. If its forward depends on the batch (as far as the first
 * batch shows), draws random numbers itself or has operations that only run in TypeScript, or if another precision than
 * that of the first request is used, it runs in each step, with the copied weights.
 *
 * @throws DistilleryError as {@link live}.
 * @example
 * ```ts
 * await distill({ teacher: frozen(network), student, data });
 * ```
 */
export function frozen(module: Module, options: NetworkTeacherOptions = {}): Teacher {
  expectOptions("frozen", options, ["mode", "taps"]);
  return ofRuns(() => frozenTeacher(module, options));
}

function frozenTeacher(module: Module, options: NetworkTeacherOptions): Teacher {
  const { mode = "eval", taps = [] } = options;
  const training = mode === "train";
  const alive = live(module, options);
  /** Null if it can't be frozen. */
  let model: FrozenModel | null | undefined;
  /** For passes of the network itself. */
  let weights: KeptWeights | null = null;
  let network = module;
  const modelFor = (inputs: Tensor): FrozenModel | null => {
    if (model === undefined) {
      // The first batch is one of those it is traced with, so that a branch on the number of rows is detected.
      const [rows, ...sampleShape] = inputs.shape;
      model = freeze(network, sampleShape, { training, taps, rows });
      weights = new KeptWeights(module, training);
    }
    // In another precision the network itself runs, with the copied weights.
    return model?.fits(inputs) && model.precision === currentPrecision() ? model : null;
  };
  const withWeights = (pass: () => Outputs) => weights?.run(pass) ?? pass();
  const take = (model: FrozenModel, inputs: Tensor): Outputs => {
    const { output, taps } = model.take(inputs, currentGenerator());
    return { logits: output, taps };
  };
  return {
    ...alive,
    name: "frozen",
    open(run) {
      alive.open?.(run);
      network = fitNetwork(module, run.data, "teacher");
    },
    outputs(batch) {
      const inputs = inputsOf(network, batch);
      const model = isTracing() ? null : modelFor(inputs);
      return model === null ? withWeights(() => alive.outputs(batch)) : take(model, inputs);
    },
    evaluate(batch) {
      const inputs = inputsOf(network, batch);
      const model = modelFor(inputs);
      return model === null || training ? withWeights(() => alive.evaluate(batch)) : take(model, inputs);
    },
    prefetch(batch) {
      const inputs = inputsOf(network, batch);
      modelFor(inputs)?.enqueue(inputs, currentGenerator());
    },
    prefetchDepth(rows) {
      const threads = getNumThreads();
      if (threads < 2 || model === null) return 0;
      // The memory of a pass is unknown before the first one.
      if (model === undefined) return 1;
      return Math.min(PREFETCH_DEPTH, threads + 1, Math.floor(MAX_PREFETCH_BYTES / model.activationBytes(rows)));
    },
    discard: () => model?.discard(),
    close() {
      model?.release();
      model = undefined;
      weights = null;
    },
  };
}

/** Copies of a network's weights and, unless they are to move, its buffers: passes run with them. */
class KeptWeights {
  readonly #kept: readonly { own: StateDict[string]; copy: StateDict[string]["data"] }[];

  constructor(module: Module, moveBuffers: boolean) {
    const buffers = moveBuffers ? [] : module.namedBuffers().map(([, buffer]) => buffer);
    this.#kept = [...module.parameters(), ...buffers].map((own) => ({ own, copy: own.data.slice() }));
  }

  /** The outputs of a pass with the copies in the network; its own tensors are put back afterwards. */
  run(pass: () => Outputs): Outputs {
    const changed = this.#kept.filter(({ own, copy }) => Buffer.compare(bytesOf(own.data), bytesOf(copy)) !== 0);
    if (changed.length === 0) return pass();
    const present = changed.map(({ own }) => own.data.slice());
    try {
      for (const { own, copy } of changed) bytesOf(own.data).set(bytesOf(copy));
      return computed(pass());
    } finally {
      for (const [i, { own }] of changed.entries()) bytesOf(own.data).set(bytesOf(present[i]));
    }
  }
}

function freeze(module: Module, sampleShape: readonly number[], options: TraceOptions): FrozenModel | null {
  try {
    // Happens once per run: the arena of a step would retain the memory that it needs.
    return outsideStep(() => FrozenModel.from(module, sampleShape, options));
  } catch (error) {
    // The live network reports what is wrong with the inputs.
    if (error instanceof DistilleryError) return null;
    throw error;
  }
}
