import * as v from "valibot";
import { BatchNorm1d } from "../nn/batch_norm.js";
import { Dropout } from "../nn/layers.js";
import { Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { described, parseOptions } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { asRows, defineNetwork, features, layerSizes, rows, widths } from "./network.js";

const OPTIONS = {
  hidden: described(v.optional(widths(3), [2048, 1024, 512]), "widths of the three hidden layers"),
};

/**
 * The large network of the script: 784-2048-1024-512-10 by default; after each hidden layer BatchNorm, ReLU,
 * and dropout of .3, .3 and .2. x [rows, inFeatures], or images of `inFeatures` values, to logits [rows, classes].
 *
 * @example
 * ```ts
 * const teacher = new TeacherNet().freeze();
 * const logits = noGrad(() => teacher.forward(randn([64, 784])));
 * ```
 */
export class TeacherNet extends Module {
  readonly fc1: Linear;
  readonly bn1: BatchNorm1d;
  readonly dropout1 = new Dropout(0.3);
  readonly fc2: Linear;
  readonly bn2: BatchNorm1d;
  readonly dropout2 = new Dropout(0.3);
  readonly fc3: Linear;
  readonly bn3: BatchNorm1d;
  readonly dropout3 = new Dropout(0.2);
  readonly fc4: Linear;

  constructor(options: { inFeatures?: number; hidden?: readonly [number, number, number]; classes?: number } = {}) {
    super();
    const { inFeatures, hidden, classes } = parseOptions("TeacherNet", { ...OPTIONS, ...rows() }, options);
    this.fc1 = new Linear(inFeatures, hidden[0]);
    this.bn1 = new BatchNorm1d(hidden[0]);
    this.fc2 = new Linear(hidden[0], hidden[1]);
    this.bn2 = new BatchNorm1d(hidden[1]);
    this.fc3 = new Linear(hidden[1], hidden[2]);
    this.bn3 = new BatchNorm1d(hidden[2]);
    this.fc4 = new Linear(hidden[2], classes);
  }

  override forward(x: Tensor): Tensor {
    let h = this.dropout1.forward(this.bn1.forward(this.fc1.forward(asRows(x))).relu());
    h = this.dropout2.forward(this.bn2.forward(this.fc2.forward(h)).relu());
    h = this.dropout3.forward(this.bn3.forward(this.fc3.forward(h)).relu());
    return this.fc4.forward(h);
  }
}

export const teacher = defineNetwork({
  name: "teacher",
  help: "the teacher of the reference script: four linear layers with BatchNorm, ReLU and dropout between them",
  options: OPTIONS,
  size: { parameters: 4_242_954, multiplyAdds: 4_232_192, shape: [1, 28, 28], classes: 10 },
  type: TeacherNet,
  create: ({ hidden }, context) => {
    const [one, two, three] = hidden;
    return new TeacherNet({ inFeatures: features(context), hidden: [one, two, three], classes: context.classes });
  },
  recognize: (state) => ("bn1.weight" in state ? layerSizes(state, ["fc1", "fc2", "fc3", "fc4"], "teacher") : null),
});
