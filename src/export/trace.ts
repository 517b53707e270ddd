import { isDeepStrictEqual } from "node:util";
import { expectInteger } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { BatchNorm1d } from "../nn/batch_norm.js";
import { Linear } from "../nn/linear.js";
import { inEvalMode } from "../nn/modes.js";
import type { Module } from "../nn/module.js";
import { reshapeOp } from "../ops/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { finite } from "./constants.js";
import type { Constant, Graph, Input, Length, Step, Value } from "./graph.js";
import { cannotExport, type Recorded, type Recording, record } from "./record.js";

const ROWS = [2, 3] as const;

/**
 * The graph of a network in eval mode, whatever its class. It is run on two batches that differ in their values, their
 * number of rows and their random stream: what is the same in both belongs to the network, and a length that differs
 * follows the batch.
 *
 * @throws DistilleryError `BAD_ARGUMENT` where the two runs did not do the same, or something was computed outside of
 * the library's operations; `NON_FINITE` for weights with NaN or infinity.
 */
export function traceNetwork(network: Module, features = featuresOf(network)): Graph {
  if (features === null) {
    throw new DistilleryError("BAD_ARGUMENT", "features: needed for a network without Linear and BatchNorm1d");
  }
  expectInteger("features", features, 1, 2 ** 31 - 1);
  const run = (rows: number) => record(network, features, rows);
  const [first, second] = inEvalMode(network, () => [run(ROWS[0]), run(ROWS[1])]) as [Recording, Recording];
  return new Merger(network, first, second).graph();
}

/** What the first layer that says so takes. */
function featuresOf(network: Module): number | null {
  if (network instanceof Linear) return network.inFeatures;
  if (network instanceof BatchNorm1d) return network.numFeatures;
  for (const [, child] of network.namedChildren()) {
    const features = featuresOf(child);
    if (features !== null) return features;
  }
  return null;
}

/** Makes one graph of two recordings. */
class Merger {
  readonly #names: ReadonlyMap<Tensor, string>;
  readonly #input: Input;
  readonly #values: Map<Tensor, Value>;
  /** The second recording's tensor of each value that follows from the input. */
  readonly #twins: Map<Value, Tensor>;

  constructor(
    network: Module,
    readonly first: Recording,
    readonly second: Recording,
  ) {
    const state = Object.entries(network.stateDict()).reverse();
    this.#names = new Map(state.map(([name, tensor]) => [tensor as Tensor, name]));
    this.#input = { kind: "input", features: first.input.shape[1] as number };
    this.#values = new Map([[first.input, this.#input]]);
    this.#twins = new Map([[this.#input, second.input]]);
  }

  graph(): Graph {
    const { first, second } = this;
    if (!isDeepStrictEqual(operations(first), operations(second))) {
      throw cannotExport("what is computed depends on the batch");
    }
    const steps = first.steps.map((step, i) => this.#step(step, second.steps[i] as Recorded));
    const output = this.#values.get(first.output);
    if (output === undefined || output.kind === "constant" || this.#twins.get(output) !== second.output) {
      throw cannotExport("the result does not come from the input by the library's operations");
    }
    return { input: this.#input, output, steps };
  }

  #step(first: Recorded, second: Recorded): Step {
    const inputs = first.inputs.map((tensor, j) => this.#merge(tensor, second.inputs[j] as Tensor));
    const shape = first.output.shape.map((length, axis) => lengthOf(length, second.output.shape[axis] as number));
    const { op, attributes } = first;
    if (op.onnx === undefined) throw cannotExport(`it has no form for the operation "${op.name}"`);
    // A shape follows from the batch; `shape` above says how.
    if (op !== reshapeOp.op && !isDeepStrictEqual(attributes, second.attributes)) {
      throw cannotExport("a tensor changes with the batch, or a number that was computed from one");
    }
    const step: Step = { kind: "step", op, attributes, inputs, shape };
    this.#values.set(first.output, step);
    this.#twins.set(step, second.output);
    return step;
  }

  #merge(first: Tensor, second: Tensor): Value {
    const known = this.#values.get(first) ?? this.#constant(first);
    const isSame = known.kind === "constant" ? isEqual(first, second) : this.#twins.get(known) === second;
    if (isSame) return known;
    throw cannotExport("a tensor changes with the batch and was not computed by the library's operations");
  }

  #constant(tensor: Tensor): Constant {
    const name = this.#names.get(tensor) ?? "constant";
    const constant = finite({ kind: "constant", name, data: tensor.data, shape: tensor.shape });
    this.#values.set(tensor, constant);
    return constant;
  }
}

function lengthOf(first: number, second: number): Length {
  if (first === second) return first;
  return first === ROWS[0] && second === ROWS[1] ? "batch" : null;
}

function operations({ steps }: Recording): unknown {
  return steps.map(({ op, inputs, output }) => [op.name, inputs.length, output.shape.length]);
}

function isEqual(a: Tensor, b: Tensor): boolean {
  return a === b || (isDeepStrictEqual(a.shape, b.shape) && isDeepStrictEqual(a.data, b.data));
}
