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

/** Forward passes in flight, at most: enough that no thread waits for the next one. */
const PREFETCH_DEPTH = 4;
/** The bytes that these may hold together: kernels of larger batches use all threads anyway. */
const MAX_PREFETCH_BYTES = 128e6;

/**
 * A network as it is when its outputs are first requested, at the start of a run: its weights are copied then, and what
 * becomes of its own afterwards does not matter. Its forward passes for the next batches run ahead, on the threads that
 * the student's small kernels leave idle, with the same bits. In "train" mode the network's own running statistics
 * move.
 *
 * Any network of the library's operations can be frozen. If its forward depends on the batch (on its number of rows as
 * far as the first batch shows), draws random numbers by itself or has operations that only run in TypeScript, or in
 * another precision than that of the first request, it runs in each step, with the weights that were copied.
 *
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
  /** Null if there can be none. */
  let model: FrozenModel | null | undefined;
  /** For passes of the network itself. */
  let weights: KeptWeights | null = null;
  let network = module;
  const modelFor = (inputs: Tensor): FrozenModel | null => {
    if (model === undefined) {
      // Its first batch is among what it is traced with: a branch on the number of rows shows.
      const [rows, ...sampleShape] = inputs.shape;
      model = freeze(network, sampleShape, { training, taps, rows });
      weights = new KeptWeights(module, training);
    }
    // In another precision the network runs itself, with the copies.
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
      // Before the first pass nobody knows how much memory one takes.
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

  /** The outputs of a pass with the copies in the network, which has its own again afterwards. */
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
    // Once in a run: the arena of a step would keep what it needs.
    return outsideStep(() => FrozenModel.from(module, sampleShape, options));
  } catch (error) {
    // The live network says by itself what is wrong with the inputs.
    if (error instanceof DistilleryError) return null;
    throw error;
  }
}
