import { BatchNorm1d } from "../nn/batch_norm.js";
import { Dropout, ReLU, Sequential } from "../nn/layers.js";
import { Linear } from "../nn/linear.js";
import type { Module } from "../nn/module.js";
import { StudentNet } from "./student_net.js";
import { TeacherNet } from "./teacher_net.js";

/** A product; then ReLU alone, or BatchNorm, ReLU and dropout, or nothing. */
export type DenseStage =
  | { readonly linear: Linear; readonly then: "relu" | "nothing" }
  | { readonly linear: Linear; readonly then: { readonly norm: BatchNorm1d; readonly dropout: Dropout | null } };

/**
 * What a network computes, where it is known to be a chain of such stages: a {@link TeacherNet}, a {@link StudentNet}, or
 * a {@link Sequential} of their layers. Null for any other, and for classes made of these, which may compute more.
 */
export function denseStages(network: Module): DenseStage[] | null {
  const stages = stagesOf(network);
  const layers = stages?.flatMap(({ linear, then }) => [linear, ...(typeof then === "string" ? [] : [then.norm])]);
  return layers?.every((layer) => isOnly(layer, Linear) || isOnly(layer, BatchNorm1d)) ? stages : null;
}

function stagesOf(network: Module): DenseStage[] | null {
  if (isOnly(network, StudentNet)) {
    const { fc1, fc2, fc3 } = network;
    return [
      { linear: fc1, then: "relu" },
      { linear: fc2, then: "relu" },
      { linear: fc3, then: "nothing" },
    ];
  }
  if (isOnly(network, TeacherNet)) {
    const { fc1, fc2, fc3, fc4, bn1, bn2, bn3, dropout1, dropout2, dropout3 } = network;
    return [
      { linear: fc1, then: { norm: bn1, dropout: dropout1 } },
      { linear: fc2, then: { norm: bn2, dropout: dropout2 } },
      { linear: fc3, then: { norm: bn3, dropout: dropout3 } },
      { linear: fc4, then: "nothing" },
    ];
  }
  return isOnly(network, Sequential) ? chained(network.namedChildren().map(([, layer]) => layer)) : null;
}

function chained(layers: readonly Module[]): DenseStage[] | null {
  const [linear, second, third, fourth] = layers;
  if (linear === undefined) return [];
  if (!isOnly(linear, Linear)) return null;
  const take = (count: number, then: DenseStage["then"]) => {
    const rest = chained(layers.slice(count));
    return rest && [{ linear, then } as DenseStage, ...rest];
  };
  if (second !== undefined && isOnly(second, ReLU)) return take(2, "relu");
  if (second === undefined || !isOnly(second, BatchNorm1d)) return take(1, "nothing");
  if (third === undefined || !isOnly(third, ReLU)) return null;
  const dropout = fourth !== undefined && isOnly(fourth, Dropout) ? fourth : null;
  return take(dropout === null ? 3 : 4, { norm: second, dropout });
}

/** Whether it computes what its class says: it is of no class made of that, and has no `forward` of its own. */
function isOnly<M extends Module>(module: Module, type: abstract new (...args: never[]) => M): module is M {
  return Object.getPrototypeOf(module) === type.prototype && !Object.hasOwn(module, "forward");
}
