import { Module } from "../nn/module.js";
import { callOp } from "../ops/define_op.js";
import { numel } from "../tensor/shape.js";
import { Tensor } from "../tensor/tensor.js";
import { type Graph, lengthFor, type Node, type Value } from "./graph.js";

/** Computes a graph by the library's operations: what an exported file computes, folded and quantized as it is. */
export class GraphModule extends Module {
  readonly #graph: Graph;

  constructor(graph: Graph) {
    super();
    this.#graph = graph;
  }

  override get readsImages(): boolean {
    return this.#graph.input.shape.length === 4;
  }

  override forward(x: Tensor): Tensor {
    const results = new Map<Value, Tensor>([[this.#graph.input, x]]);
    const read = (value: Value): Tensor =>
      value.kind === "constant" ? new Tensor(value.data, value.shape) : (results.get(value) as Tensor);
    for (const node of this.#graph.nodes) results.set(node, compute(node, node.inputs.map(read), x.shape[0]));
    return read(this.#graph.output);
  }
}

function compute({ op, attributes, shape }: Node, inputs: readonly Tensor[], rows: number): Tensor {
  const known = shape.map((length) => (length === null ? -1 : lengthFor(length, rows)));
  const size = -numel(known);
  const lengths = known.map((length) => (length === -1 ? inputs[0].size / size : length));
  return callOp(op, inputs, { ...attributes, shape: lengths });
}
