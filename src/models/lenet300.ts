import { forwardRelu, Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { parseOptions } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { asRows, defineNetwork, features, rows } from "./network.js";

/**
 * LeNet-300-100 (LeCun et al., 1998): two hidden layers of 300 and 100, here with ReLU.
 * x [rows, inFeatures], or images of `inFeatures` values, to logits [rows, classes].
 *
 * @example
 * ```ts
 * const student = new LeNet300(); // 784-300-100-10: 266,610 parameters
 * ```
 */
export class LeNet300 extends Module {
  readonly fc1: Linear;
  readonly fc2: Linear;
  readonly fc3: Linear;

  constructor(options: { inFeatures?: number; classes?: number } = {}) {
    super();
    const { inFeatures, classes } = parseOptions("LeNet300", rows(), options);
    this.fc1 = new Linear(inFeatures, 300);
    this.fc2 = new Linear(300, 100);
    this.fc3 = new Linear(100, classes);
  }

  override forward(x: Tensor): Tensor {
    const h1 = forwardRelu(this.fc1, asRows(x));
    const h2 = forwardRelu(this.fc2, h1);
    return this.fc3.forward(h2);
  }
}

export const lenet300 = defineNetwork({
  name: "lenet300",
  help: "LeNet-300-100: two hidden layers of 300 and 100 with ReLU",
  options: {},
  size: { parameters: 266_610, multiplyAdds: 266_200, shape: [1, 28, 28], classes: 10 },
  create: (_, context) => new LeNet300({ inFeatures: features(context), classes: context.classes }),
});
