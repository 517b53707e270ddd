import { withOutputExpected } from "../nn/expect_output.js";
import { Module } from "../nn/module.js";
import { Registry } from "../registry/index.js";
import { bert } from "./bert.js";
import { lenet5 } from "./lenet5.js";
import { lenet300 } from "./lenet300.js";
import { mlp } from "./mlp.js";
import { mobileNetV2 } from "./mobilenetv2.js";
import type { NetworkContext, NetworkEntry } from "./network.js";
import { resNets } from "./resnet.js";
import { cifarResNets } from "./resnet_cifar.js";
import { shuffleNetV1 } from "./shufflenetv1.js";
import { shuffleNetV2 } from "./shufflenetv2.js";
import { student } from "./student_net.js";
import { teacher } from "./teacher_net.js";
import { textBag } from "./text_bag.js";
import { textTransformer } from "./text_transformer.js";
import { vggs } from "./vgg.js";
import { wideResNets } from "./wrn.js";

export { Bert, type BertOptions } from "./bert.js";
export { type AverageOptions, Ensemble } from "./ensemble.js";
export { freezeGraph } from "./freeze_graph.js";
export { LeNet5, type LeNet5Options } from "./lenet5.js";
export { LeNet300 } from "./lenet300.js";
export { Mlp, type MlpOptions } from "./mlp.js";
export { MobileNetV2, type MobileNetV2Options } from "./mobilenetv2.js";
export type { NetworkContext, NetworkCost, NetworkEntry, NetworkSpec } from "./network.js";
export { ResNet, type ResNetOptions } from "./resnet.js";
export { CifarResNet, type CifarResNetOptions } from "./resnet_cifar.js";
export { ShuffleNetV1, type ShuffleNetV1Options } from "./shufflenetv1.js";
export { ShuffleNetV2, type ShuffleNetV2Options } from "./shufflenetv2.js";
export { StudentNet } from "./student_net.js";
export { TeacherNet } from "./teacher_net.js";
export { TextBag, type TextBagOptions } from "./text_bag.js";
export { TextTransformer, type TextTransformerOptions } from "./text_transformer.js";
export { Vgg, type VggOptions } from "./vgg.js";
export { WideResNet, type WideResNetOptions } from "./wrn.js";

/** To add a network, write a file with its class and its entry, and add the entry here. */
const NETWORKS: readonly NetworkEntry[] = [
  lenet300,
  mlp,
  student,
  teacher,
  lenet5,
  ...cifarResNets,
  ...wideResNets,
  ...vggs,
  mobileNetV2,
  shuffleNetV1,
  shuffleNetV2,
  ...resNets,
  textBag,
  textTransformer,
  bert,
];

/**
 * The networks that can be made by name: `createNetwork("mlp(hidden=[64])", ...)`, `--student "mlp(hidden=[64])"`.
 *
 * @example
 * ```ts
 * MODELS.names.includes("resnet20"); // true
 * ```
 */
export const MODELS = new Registry<Module, NetworkContext, NetworkEntry>("network", NETWORKS, {
  expected: "a Module, a class of one, or a function that returns one",
  convert: (value, _, place) => (value instanceof Module ? withOutputExpected(value, place) : value),
  accepts: (value) => value instanceof Module,
});
