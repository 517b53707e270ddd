import { Conv2d } from "../nn/conv.js";
import { normal } from "../nn/init.js";
import { Linear } from "../nn/linear.js";
import type { Module } from "../nn/module.js";

/** What becomes of the Linear layers of a network in {@link drawByOutputs}; default: they stay as they are. */
interface LinearValues {
  /** The deviation of normals that are drawn for the weight; default: it stays. */
  std?: number;
}

/**
 * Draws the weights of all convolutions again, after the layers have drawn their own: normals of variance 2 / (kernel
 * height * kernel width * output channels), by the outputs (He et al., 2015; `kaiming_normal_(mode="fan_out")`). Biases
 * become 0. In the order of PyTorch's `modules()`, with the same draws.
 */
export function drawByOutputs(network: Module, linear: LinearValues | null = null): void {
  for (const layer of network.modules()) {
    if (layer instanceof Conv2d) {
      const { shape } = layer.weight;
      normal(layer.weight, 0, Math.sqrt(2 / (shape[0] * shape[2] * shape[3])));
      layer.bias?.data.fill(0);
    } else if (layer instanceof Linear && linear !== null) {
      if (linear.std !== undefined) normal(layer.weight, 0, linear.std);
      layer.bias?.data.fill(0);
    }
  }
}
