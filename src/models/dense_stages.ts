import { BatchNorm1d } from "../nn/batch_norm.js";
import { Dropout, ReLU, Sequential } from "../nn/layers.js";
import { Linear } from "../nn/linear.js";
import type { Module } from "../nn/module.js";
import { StudentNet } from "./student_net.js";
import { TeacherNet } from "./teacher_net.js";

/** dropout(relu(norm(linear(x)))), or relu(linear(x)), or linear(x): a `norm` comes with ReLU, a `dropout` with a `norm`. */
export interface DenseStage {
  readonly linear: Linear;
  readonly relu: boolean;
  readonly norm: BatchNorm1d | null;
  readonly dropout: Dropout | null;
}

/**
 * What a network computes, where it is known to be a chain of such stages: a {@link TeacherNet}, a {@link StudentNet}, or
 * a {@link Sequential} of their layers. Null for any other, and for classes made of these, which may compute more.
 */
export function denseStages(network: Module): DenseStage[] | null {
  if (isOnly(network, StudentNet)) {
    const { fc1, fc2, fc3 } = network;
    const relu = new ReLU();
    return chained([fc1, relu, fc2, relu, fc3]);
  }
  if (isOnly(network, TeacherNet)) {
    const { fc1, fc2, fc3, fc4, bn1, bn2, bn3, dropout1, dropout2, dropout3 } = network;
    const relu = new ReLU();
    return chained([fc1, bn1, relu, dropout1, fc2, bn2, relu, dropout2, fc3, bn3, relu, dropout3, fc4]);
  }
  return isOnly(network, Sequential) ? chained(network.namedChildren().map(([, layer]) => layer)) : null;
}

function chained(layers: readonly Module[]): DenseStage[] | null {
  const rest = [...layers];
  const next = <M extends Module>(type: Type<M>): M | null =>
    rest[0] !== undefined && isOnly(rest[0], type) ? (rest.shift() as M) : null;
  const stages: DenseStage[] = [];
  while (rest.length > 0) {
    const linear = next(Linear);
    const norm = linear && next(BatchNorm1d);
    const relu = linear && next(ReLU);
    const dropout = norm && relu && next(Dropout);
    if (linear === null || (norm !== null && relu === null)) return null;
    stages.push({ linear, relu: relu !== null, norm, dropout });
  }
  return stages;
}

type Type<M> = abstract new (...args: never[]) => M;

/** Whether it computes what its class says: it is of no class made of that, and has no `forward` of its own. */
function isOnly<M extends Module>(module: Module, type: Type<M>): module is M {
  return Object.getPrototypeOf(module) === type.prototype && !Object.hasOwn(module, "forward");
}
