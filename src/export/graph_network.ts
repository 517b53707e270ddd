import { Module } from "../nn/module.js";
import { callOp, reshapeOp } from "../ops/index.js";
import { Tensor } from "../tensor/tensor.js";
import type { Graph, Step, Value } from "./graph.js";

/** Computes a graph by the library's own kernels: what an exported file computes, folded and quantised as it is. */
export class GraphNetwork extends Module {
  readonly #graph: Graph;

  constructor(graph: Graph) {
    super();
    this.#graph = graph;
  }

  override forward(x: Tensor): Tensor {
    const results = new Map<Value, Tensor>([[this.#graph.input, x]]);
    const read = (value: Value): Tensor =>
      value.kind === "constant" ? new Tensor(value.data, value.shape) : (results.get(value) as Tensor);
    for (const step of this.#graph.steps) results.set(step, compute(step, step.inputs.map(read)));
    return read(this.#graph.output);
  }
}

function compute({ op, attributes, shape }: Step, inputs: readonly Tensor[]): Tensor {
  if (op !== reshapeOp.op) return callOp(op, inputs, attributes);
  return inputs[0].reshape(shape.map((length) => (typeof length === "number" ? length : -1)));
}
