import * as v from "valibot";
import { forwardRelu, Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { described, parseOptions } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { asRows, defineNetwork, features, layerSizes, rows, widths } from "./network.js";

const OPTIONS = {
  hidden: described(v.optional(widths(2), [512, 256]), "widths of the two hidden layers"),
};

/**
 * The small network of the script: 784-512-256-10 by default, ReLU between the layers.
 * x [rows, inFeatures], or images of `inFeatures` values, to logits [rows, classes].
 *
 * @example
 * ```ts
 * const student = new StudentNet({ hidden: [128, 64] });
 * ```
 */
export class StudentNet extends Module {
  readonly fc1: Linear;
  readonly fc2: Linear;
  readonly fc3: Linear;

  constructor(options: { inFeatures?: number; hidden?: readonly [number, number]; classes?: number } = {}) {
    super();
    const { inFeatures, hidden, classes } = parseOptions("StudentNet", { ...OPTIONS, ...rows() }, options);
    this.fc1 = new Linear(inFeatures, hidden[0]);
    this.fc2 = new Linear(hidden[0], hidden[1]);
    this.fc3 = new Linear(hidden[1], classes);
  }

  override forward(x: Tensor): Tensor {
    const h1 = forwardRelu(this.fc1, asRows(x));
    const h2 = forwardRelu(this.fc2, h1);
    return this.fc3.forward(h2);
  }
}

export const student = defineNetwork({
  name: "student",
  help: "the student of the reference script: three linear layers with ReLU between them",
  options: OPTIONS,
  size: { parameters: 535_818, multiplyAdds: 535_040, shape: [1, 28, 28], classes: 10 },
  type: StudentNet,
  create: ({ hidden }, context) =>
    new StudentNet({ inFeatures: features(context), hidden: [hidden[0], hidden[1]], classes: context.classes }),
  recognize(state) {
    if ("bn1.weight" in state || "fc4.weight" in state) return null;
    return layerSizes(state, ["fc1", "fc2", "fc3"], "student");
  },
});
