import { batchNorm, linear, logSoftmax, relu, softmax } from "../nn/functional.js";
import { Module } from "../nn/module.js";
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

function compute({ operation, shape }: Step, inputs: readonly Tensor[]): Tensor {
  const [x, second, third, fourth, fifth] = inputs as [Tensor, Tensor, Tensor, Tensor, Tensor];
  switch (operation.kind) {
    case "linear":
      return linear(x, second, third ?? null, { relu: operation.relu });
    case "batchNorm": {
      const state = { weight: second, bias: third, runningMean: fourth, runningVar: fifth };
      return batchNorm(x, state, { training: false, momentum: 0, eps: operation.eps });
    }
    case "relu":
      return relu(x);
    case "add":
      return x.add(second);
    case "mul":
      return x.mul(second);
    case "matmul":
      return x.matmul(second);
    case "reshape":
      return x.reshape(shape.map((length) => (typeof length === "number" ? length : -1)));
    case "softmax":
      return softmax(x);
    case "logSoftmax":
      return logSoftmax(x);
    case "sum":
      return x.sum(operation.axis ?? undefined, operation.keepdim);
    case "mean":
      return x.mean(operation.axis ?? undefined, operation.keepdim);
  }
}
