import { isDeepStrictEqual } from "node:util";
import { badDtype, expectDimensions } from "../checks.js";
import { Modes } from "../nn/modes.js";
import { Module } from "../nn/module.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Constant, Graph, Input, Length, Node, Value } from "./graph.js";
import { type Trace, type TracedOp, trace, UntraceableError } from "./tracer.js";

const ROWS = [2, 3] as const;

/** How a module is traced. */
export interface TraceOptions {
  /** Whether in train mode, with dropout and batch statistics, or in eval mode. Default: each layer in the mode it is in. */
  training?: boolean;
  /** Paths of modules whose outputs are outputs of the graph too, such as `fc2`. */
  taps?: readonly string[];
}

/**
 * The graph of a module, whatever its class, for inputs [rows, ...sampleShape]. It is run on two batches that differ in their
 * values, their number of rows and their random stream: what is the same in both belongs to the module, and a length that
 * differs follows the batch. Modes, buffers and the random stream stay as they are.
 *
 * @throws DistilleryError `BAD_ARGUMENT` if the two runs did not do the same, or something was computed outside of the
 * library's operations, or if `forward()` reads values that follow from the input: a branch on them would be lost.
 * @example
 * ```ts
 * const graph = traceModule(new StudentNet(), [784], { training: false });
 * graph.nodes.map(({ op }) => op.name); // ["linear", "relu", "linear", "relu", "linear"]
 * ```
 */
export function traceModule(module: Module, sampleShape: readonly number[], options: TraceOptions = {}): Graph {
  if (!(module instanceof Module)) throw badDtype("module", "a Module", module);
  expectDimensions("sampleShape", sampleShape);
  const { training, taps = [] } = options;
  const run = () => ROWS.map((rows) => trace(module, sampleShape, rows, taps));
  const [first, second] = training === undefined ? run() : new Modes([[module, training]]).run(run);
  return new Merger(module, first, second).graph();
}

/** Makes one graph of two traces. */
class Merger {
  readonly #names: ReadonlyMap<Tensor, string>;
  readonly #input: Input;
  readonly #values: Map<Tensor, Value>;
  /** The second trace's tensor of each value that follows from the input. */
  readonly #twins: Map<Value, Tensor>;

  constructor(
    module: Module,
    readonly first: Trace,
    readonly second: Trace,
  ) {
    const state = Object.entries(module.stateDict()).reverse();
    this.#names = new Map(state.map(([name, tensor]) => [tensor as Tensor, name]));
    this.#input = { kind: "input", shape: ["batch", ...first.input.shape.slice(1)] };
    this.#values = new Map([[first.input, this.#input]]);
    this.#twins = new Map([[this.#input, second.input]]);
  }

  graph(): Graph {
    const { first, second } = this;
    if (!isDeepStrictEqual(callsOf(first), callsOf(second))) {
      throw new UntraceableError("what is computed depends on the batch");
    }
    const nodes = first.ops.map((op, i) => this.#node(op, second.ops[i]));
    const output = this.#values.get(first.output);
    if (output === undefined || output.kind === "constant" || this.#twins.get(output) !== second.output) {
      throw new UntraceableError("the result does not come from the input by the library's operations");
    }
    // Last, for the others say more.
    if (first.isRead) throw new UntraceableError("values of the batch are read, and what follows may depend on them");
    const taps = Object.entries(first.taps).map(([path, tensor]) => [path, this.#merge(tensor, second.taps[path])]);
    return { input: this.#input, output, taps: Object.fromEntries(taps), nodes };
  }

  #node(first: TracedOp, second: TracedOp): Node {
    const { op } = first;
    const { shape: _, ...attributes } = first.attributes;
    const { shape: __, ...others } = second.attributes;
    if (!isDeepStrictEqual(attributes, others)) {
      const isOwn = op.onnx === undefined && op.lower === undefined;
      throw isOwn ? new UntraceableError(`it has no form for the operation "${op.name}"`) : changes();
    }
    const inputs = first.inputs.map((tensor, j) => this.#merge(tensor, second.inputs[j]));
    const shape = first.output.shape.map((length, axis) => lengthOf(length, second.output.shape[axis]));
    const node: Node = { kind: "node", op, attributes, inputs, shape };
    this.#values.set(first.output, node);
    this.#twins.set(node, second.output);
    return node;
  }

  #merge(first: Tensor, second: Tensor): Value {
    const known = this.#values.get(first) ?? this.#constant(first);
    const isSame = known.kind === "constant" ? isEqual(first, second) : this.#twins.get(known) === second;
    if (isSame) return known;
    throw changes();
  }

  #constant(tensor: Tensor): Constant {
    const { data, shape } = tensor;
    const constant: Constant = { kind: "constant", name: this.#names.get(tensor) ?? "constant", data, shape };
    this.#values.set(tensor, constant);
    return constant;
  }
}

function lengthOf(first: number, second: number): Length {
  if (first === second) return first;
  const times = first / ROWS[0];
  if (!Number.isInteger(times) || second !== times * ROWS[1]) return null;
  return times === 1 ? "batch" : { timesBatch: times };
}

function callsOf({ ops }: Trace): unknown {
  return ops.map(({ op, inputs, output }) => [op.name, inputs.length, output.shape.length]);
}

function changes(): UntraceableError {
  return new UntraceableError("a tensor changes with the batch and was not computed by the library's operations");
}

function isEqual(a: Tensor, b: Tensor): boolean {
  return a === b || (isDeepStrictEqual(a.shape, b.shape) && isDeepStrictEqual(a.data, b.data));
}
