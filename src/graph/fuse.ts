import { isDeepStrictEqual } from "node:util";
import { DistilleryError } from "../errors.js";
import { type Conv2dAttributes, windowOf } from "../ops/conv2d.js";
import { fusedOp } from "../ops/linear_fusion.js";
import type { BatchNormAttributes } from "../ops/norm_call.js";
import type { Op } from "../tensor/op.js";
import { countReaders, type Graph, type Node, rewrite, type Value } from "./graph.js";

/** What is fused into the last write of a convolution or a BatchNorm: first the sum, then ReLU. */
interface Epilogue {
  /** Whether an input is added. */
  readonly addend: boolean;
  readonly relu: boolean;
}

/**
 * Inputs x, weight, bias and addend if there are any, and those of BatchNorm in eval mode, if it follows, behind its x.
 */
const fusedConv2dOp: Op<Omit<Conv2dAttributes, "relu"> & Epilogue & { norm: BatchNormAttributes | null }> = {
  name: "conv2dNormAddRelu",
  forward: () => onlyInGraphs("conv2dNormAddRelu"),
  lower: ({ addend, relu, norm, bfloat16 = false, ...attributes }) => {
    const epilogue = { addend, relu, bfloat16, norm: norm !== null, ...(norm !== null && { eps: norm.eps }) };
    return { kind: "conv2d", window: windowOf(attributes), ...epilogue };
  },
};

/** Inputs x, addend if there is one, and those of BatchNorm behind its x. */
const fusedNormOp: Op<BatchNormAttributes & Epilogue> = {
  name: "batchNormAddRelu",
  forward: () => onlyInGraphs("batchNormAddRelu"),
  lower: (attributes) => ({ kind: "batchNorm", ...attributes }),
};

function onlyInGraphs(name: string): never {
  throw new DistilleryError("INTERNAL", `${name}: is made of the nodes of a graph`);
}

/**
 * Fuses chains of nodes into one node if nothing else reads the values between them: linear -> ReLU; linear ->
 * batchNorm -> ReLU (-> dropout); conv2d (-> batchNorm in eval mode) (-> sum) (-> ReLU); batchNorm (-> sum) (-> ReLU).
 * Results keep their bits.
 */
export function fuse(graph: Graph): Graph {
  const readers = countReaders(graph);
  const isOnlyRead = (value: Value | undefined) => value !== undefined && readers.get(value) === 1;
  // A layer that is used twice is not fused: it has to update its running statistics in the order of its calls.
  const moved = graph.nodes.filter(({ op }) => op.name === "batchNorm").map(({ inputs }) => inputs[3]);
  const isShared = (statistics: Value) => moved.filter((value) => value === statistics).length > 1;
  return rewrite(graph, (node, before) => {
    for (const [i, x] of node.inputs.entries()) {
      const xBefore = before.inputs[i];
      if (x.kind !== "node" || xBefore.kind !== "node" || !isOnlyRead(xBefore)) continue;
      if (x.op.name === "batchNorm" && x.attributes.training && isShared(x.inputs[3])) continue;
      const fused = joinLinear(node, x, isOnlyRead(xBefore.inputs[0])) ?? joinConv2d(node, x) ?? joinNorm(node, x);
      if (fused !== null) return fused;
    }
    return node;
  });
}

/** A node and the one of a Linear that it reads; `isOwn`: nothing else reads what this reads first. */
function joinLinear(node: Node, x: Node, isOwn: boolean): Node | null {
  if (node.op.name === "dropout" && x.op === fusedOp && x.attributes.p === 0) {
    return { ...x, attributes: { ...x.attributes, p: node.attributes.p } };
  }
  if (node.op.name !== "relu") return null;
  if (x.op.name === "linear" && !x.attributes.relu) return { ...x, attributes: { ...x.attributes, relu: true } };
  const [linear, ...norm] = x.inputs;
  if (x.op.name !== "batchNorm" || linear.kind !== "node" || !isOwn) return null;
  if (linear.op.name !== "linear" || linear.attributes.relu) return null;
  const { bfloat16 } = linear.attributes;
  const attributes = { ...x.attributes, p: 0, ...(bfloat16 === true && { bfloat16 }) };
  return { ...node, op: fusedOp, attributes, inputs: [...linear.inputs, ...norm] };
}

/** A node and the convolution that it reads, with what follows that already. */
function joinConv2d(node: Node, x: Node): Node | null {
  const isPlain = x.op.name === "conv2d" && !x.attributes.relu;
  if (!isPlain && x.op !== fusedConv2dOp) return null;
  const conv = isPlain ? { ...x, op: fusedConv2dOp, attributes: { ...x.attributes, norm: null, addend: false } } : x;
  if (node.op.name !== "batchNorm") return joinEpilogue(node, x, conv, conv.attributes.norm === null ? 0 : 4);
  if (!isPlain || node.attributes.training || node.inputs[0] !== x) return null;
  return {
    ...conv,
    attributes: { ...conv.attributes, norm: node.attributes },
    inputs: [...x.inputs, ...node.inputs.slice(1)],
  };
}

/** A node and the BatchNorm that it reads, with the sum that follows it already. */
function joinNorm(node: Node, x: Node): Node | null {
  if (x.op.name !== "batchNorm" && x.op !== fusedNormOp) return null;
  const isPlain = x.op.name === "batchNorm";
  const norm = isPlain ? { ...x, op: fusedNormOp, attributes: { ...x.attributes, addend: false, relu: false } } : x;
  return joinEpilogue(node, x, norm, 4);
}

/** The sum with x, or its ReLU, as the end of `fused`, whose last `after` inputs stand behind the addend. */
function joinEpilogue(node: Node, x: Node, fused: Node, after: number): Node | null {
  const { attributes, inputs } = fused;
  if (attributes.relu) return null;
  if (node.op.name === "relu") return { ...fused, attributes: { ...attributes, relu: true } };
  if (node.op.name !== "add" || attributes.addend) return null;
  const addend = node.inputs[node.inputs[0] === x ? 1 : 0];
  if (![addend.shape, node.shape].every((shape) => isDeepStrictEqual(shape, x.shape))) return null;
  const place = inputs.length - after;
  return {
    ...fused,
    attributes: { ...attributes, addend: true },
    inputs: [...inputs.slice(0, place), addend, ...inputs.slice(place)],
  };
}
