import { fusedOp } from "../ops/fusion.js";
import type { Op } from "../tensor/op.js";
import { countReaders, type Graph, type Node, rewrite, type Value } from "./graph.js";

/**
 * The graph with linear -> ReLU, and linear -> batchNorm -> ReLU -> dropout (with or without dropout), as one node each if
 * nothing else reads what lies between. The bits stay the same.
 */
export function fuse(graph: Graph): Graph {
  const readers = countReaders(graph);
  const isOnlyRead = (value: Value) => readers.get(value) === 1;
  // A layer that is used twice moves its running statistics in the order of its calls.
  const moved = graph.nodes.filter(({ op }) => op.name === "batchNorm").map(({ inputs }) => inputs[3]);
  const isShared = (statistics: Value) => moved.filter((value) => value === statistics).length > 1;
  return rewrite(graph, (node, before) => {
    const [x] = node.inputs;
    const [xBefore] = before.inputs;
    if (x?.kind !== "node" || xBefore.kind !== "node" || !isOnlyRead(xBefore)) return node;
    if (node.op.name === "dropout" && x.op === (fusedOp as Op) && x.attributes.p === 0) {
      return { ...x, attributes: { ...x.attributes, p: node.attributes.p } } satisfies Node;
    }
    if (node.op.name !== "relu") return node;
    if (x.op.name === "linear" && !x.attributes.relu) return { ...x, attributes: { ...x.attributes, relu: true } };
    const [linear, ...norm] = x.inputs;
    if (x.op.name !== "batchNorm" || linear.kind !== "node" || !isOnlyRead(xBefore.inputs[0])) return node;
    if (linear.op.name !== "linear" || linear.attributes.relu || isShared(norm[2])) return node;
    const attributes = { ...x.attributes, p: 0 };
    return { ...node, op: fusedOp as Op, attributes, inputs: [...linear.inputs, ...norm] } satisfies Node;
  });
}
