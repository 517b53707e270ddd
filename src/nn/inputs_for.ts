import { flatten } from "../ops/index.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import type { Module } from "./module.js";

/**
 * A batch as a network takes it: images [rows, channels, height, width] as [rows, channels * height * width] if it does
 * not read images ({@link Module.readsImages}); everything else as it is.
 */
export function inputsFor(network: Module, inputs: Tensor): Tensor {
  expectTensor("x", inputs);
  return inputs.shape.length === 4 && !network.readsImages ? flatten(inputs, 1) : inputs;
}
