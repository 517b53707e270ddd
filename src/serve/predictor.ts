import { inputFeatures, type Preprocessing, sampleShape } from "../data/preprocessing/spec.js";
import { DistilleryError } from "../errors.js";
import { networkSpecOf } from "../models/create_network.js";
import { freezeGraph } from "../models/index.js";
import { inputsFor } from "../nn/inputs_for.js";
import type { Module } from "../nn/module.js";
import { taskOf } from "../tasks/index.js";
import type { TaskPrediction } from "../tasks/prediction.js";
import { isSameShape, numel } from "../tensor/shape.js";
import { Tensor } from "../tensor/tensor.js";
import { forwardEval, predict } from "../train/inference.js";

/**
 * Predicts samples of any shape that a network takes. Samples of the shape that comes first use, from the second time
 * on, the network frozen for that shape.
 */
export class Predictor {
  /** The shape of an image that is sent as a row of values; null: samples have the network's own shape. */
  readonly #image: readonly number[] | null;
  /** For samples of the first shape; null if the network can't be frozen and runs itself. */
  #frozen: { network: Module; shape: readonly number[] } | null | undefined;

  constructor(
    readonly network: Module,
    readonly preprocessing: Preprocessing | null,
  ) {
    this.#image = network.readsImages ? (networkSpecOf(network)?.shape ?? null) : null;
  }

  /** The number of values per sample that the network itself defines; null: any. */
  get features(): number | null {
    return this.#image && numel(this.#image);
  }

  /** Refuses a preprocessing of another network. */
  expectFit(): void {
    const { preprocessing } = this;
    if (preprocessing === null) return;
    try {
      const zeros = new Float32Array(inputFeatures(preprocessing));
      const inputs = this.#inputs(new Tensor(zeros, [1, ...sampleShape(preprocessing)]));
      forwardEval(this.network, inputs, taskOf(preprocessing).width(preprocessing.classes));
    } catch (error) {
      // Other errors for a sample of zeros mean nothing for other samples.
      if (!(error instanceof DistilleryError && error.code === "SHAPE_MISMATCH")) return;
      const text = `preprocessing: does not fit the network: ${error.message}`;
      throw new DistilleryError("SHAPE_MISMATCH", text, { cause: error });
    }
  }

  predict(samples: Tensor): TaskPrediction[] {
    const inputs = this.#inputs(samples);
    const shape = inputs.shape.slice(1);
    const frozen = this.#frozen;
    const asked = frozen && isSameShape(frozen.shape, shape) ? frozen.network : this.network;
    const { preprocessing } = this;
    const options = { preprocessing, classNames: preprocessing?.classNames };
    const predictions = predict<TaskPrediction>(asked, inputs, options);
    if (this.#frozen === undefined) this.#frozen = frozenFor(this.network, shape);
    return predictions;
  }

  #inputs(samples: Tensor): Tensor {
    const isRow = this.#image !== null && samples.shape.length === 2;
    return inputsFor(this.network, isRow ? samples.reshape([samples.shape[0], ...this.#image]) : samples);
  }
}

function frozenFor(network: Module, shape: readonly number[]): { network: Module; shape: readonly number[] } | null {
  try {
    return { network: freezeGraph(network, shape), shape };
  } catch (error) {
    // The error of `freezeGraph` for a network that it can't freeze.
    if (error instanceof DistilleryError && error.code === "BAD_ARGUMENT") return null;
    throw error;
  }
}
