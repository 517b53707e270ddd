import { Module } from "../nn/module.js";
import { Registry } from "../registry/index.js";
import { lenet300 } from "./lenet300.js";
import { mlp } from "./mlp.js";
import type { NetworkContext, NetworkEntry } from "./network.js";
import { student } from "./student_net.js";
import { teacher } from "./teacher_net.js";

export { type AverageOptions, Ensemble } from "./ensemble.js";
export { LeNet300 } from "./lenet300.js";
export { Mlp } from "./mlp.js";
export type { NetworkContext, NetworkEntry } from "./network.js";
export { StudentNet } from "./student_net.js";
export { TeacherNet } from "./teacher_net.js";

/** To add a network, write a file with its class and its entry, and add the entry here. */
const NETWORKS: readonly NetworkEntry[] = [lenet300, mlp, student, teacher];

/** The networks that can be made by name: `createNetwork("mlp(hidden=[64])", ...)`, `--student "mlp(hidden=[64])"`. */
export const MODELS = new Registry<Module, NetworkContext, NetworkEntry>("network", NETWORKS, {
  expected: "a Module, a class of one, or a function that returns one",
  accepts: (value) => value instanceof Module,
});
