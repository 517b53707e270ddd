import { Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import type { Tensor } from "../tensor/tensor.js";

/**
 * The small network of the script: 784-512-256-10 unless told otherwise, ReLU between the layers.
 * x [rows, inFeatures] to logits [rows, classes].
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
    const { inFeatures = 784, hidden = [512, 256], classes = 10 } = options;
    this.fc1 = new Linear(inFeatures, hidden[0]);
    this.fc2 = new Linear(hidden[0], hidden[1]);
    this.fc3 = new Linear(hidden[1], classes);
  }

  override forward(x: Tensor): Tensor {
    const h1 = this.fc1.forwardRelu(x);
    const h2 = this.fc2.forwardRelu(h1);
    return this.fc3.forward(h2);
  }
}
