import { isDeepStrictEqual } from "node:util";
import { badDtype, expectDimensions } from "../checks.js";
import { Modes } from "../nn/modes.js";
import { Module } from "../nn/module.js";
import { expandOp } from "../ops/expand.js";
import { reshapeOp } from "../ops/reshape.js";
import { numel } from "../tensor/shape.js";
import type { Tensor } from "../tensor/tensor.js";
import { type Constant, type Graph, type Input, type Length, lengthFor, type Node, type Value } from "./graph.js";
import { Following, type Trace, type TracedOp, type TracedValue, trace, UntraceableError } from "./tracer.js";

const ROWS = [2, 3] as const;
/** The rows of a third, larger batch, which shows whether `forward()` does something else with many rows. */
const MANY_ROWS = 32;
const MOST_VALUES = 1024;

/** How a module is traced. */
export interface TraceOptions {
  /**
   * True for train mode, with dropout and batch statistics, false for eval mode. Default: each layer in its current
   * mode.
   */
  training?: boolean;
  /** The rows of the third batch, for which the graph must be the same; default 32 for samples of up to 1024 values. */
  rows?: number;
  /** Paths of modules whose outputs are outputs of the graph too, such as `fc2`. */
  taps?: readonly string[];
}

/**
 * The graph of a module of any class, for inputs [rows, ...sampleShape]. The module is run on two batches that differ
 * in their values, their number of rows and their random stream: tensors that are equal in both belong to the module,
 * and lengths that differ depend on the batch. On a third batch, of `rows` rows, it must do the same. Modes, buffers
 * and the random stream are restored.
 *
 * @throws DistilleryError `BAD_ARGUMENT` if the runs did not do the same, or something was computed outside of the
 * library's operations, or if `forward()` reads values that follow from the input or draws random numbers itself: a
 * branch on them would be lost. A branch on a number of rows that no run had is not seen.
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
  const { rows = numel(sampleShape) <= MOST_VALUES ? MANY_ROWS : 0 } = options;
  const at = (n: number) => trace(module, sampleShape, n, taps);
  const run = () => {
    const first = at(ROWS[0]);
    const graph = new Merger(module, first, at(ROWS[1])).graph();
    if (rows > ROWS[1]) new Merger(module, first, at(rows)).graph();
    return graph;
  };
  return training === undefined ? run() : new Modes([[module, training]]).run(run);
}

/** Makes one graph of two traces. */
class Merger {
  readonly #names: ReadonlyMap<TracedValue, string>;
  readonly #input: Input;
  readonly #values: Map<TracedValue, Value>;
  /** The second trace's tensor of each value that follows from the input. */
  readonly #twins: Map<Value, TracedValue>;
  readonly #nodes: Node[] = [];

  constructor(
    module: Module,
    readonly first: Trace,
    readonly second: Trace,
  ) {
    const state = Object.entries(module.stateDict()).reverse();
    this.#names = new Map(state.map(([name, tensor]) => [tensor, name]));
    this.#input = { kind: "input", shape: ["batch", ...first.input.shape.slice(1)] };
    this.#values = new Map([[first.input, this.#input]]);
    this.#twins = new Map([[this.#input, second.input]]);
  }

  graph(): Graph {
    const { first, second } = this;
    if (!isDeepStrictEqual(callsOf(first), callsOf(second))) {
      throw new UntraceableError("what is computed depends on the batch");
    }
    for (const [i, op] of first.ops.entries()) this.#node(op, second.ops[i]);
    const output = this.#values.get(first.output);
    if (output === undefined || output.kind === "constant" || this.#twins.get(output) !== second.output) {
      throw new UntraceableError("the result does not come from the input by the library's operations");
    }
    // Checked last, because the other errors say more.
    if (first.isRead) throw new UntraceableError("values of the batch are read, and what follows may depend on them");
    if (first.isDrawn) throw new UntraceableError("random numbers are drawn, and what follows may depend on them");
    const taps = Object.entries(first.taps).map(([path, tensor]) => [path, this.#merge(tensor, second.taps[path])]);
    return { input: this.#input, output, taps: Object.fromEntries(taps), nodes: this.#nodes };
  }

  #node(first: TracedOp, second: TracedOp): void {
    const { op } = first;
    const { shape: _, ...attributes } = first.attributes;
    const { shape: __, ...others } = second.attributes;
    if (!isDeepStrictEqual(attributes, others)) {
      const isOwn = op.onnx === undefined && op.lower === undefined;
      throw isOwn ? new UntraceableError(`it has no form for the operation "${op.name}"`) : changes();
    }
    const inputs = first.inputs.map((tensor, j) => this.#merge(tensor, second.inputs[j]));
    const shape = this.#shapeOf(first.output, second.output);
    this.#add({ kind: "node", op, attributes, inputs, shape }, first.output, second.output);
  }

  #add(node: Node, first: TracedValue, second: TracedValue): Node {
    this.#nodes.push(node);
    this.#values.set(first, node);
    this.#twins.set(node, second);
    return node;
  }

  #merge(first: TracedValue, second: TracedValue): Value {
    const known = this.#values.get(first);
    if (known !== undefined && known.kind !== "constant") {
      if (this.#twins.get(known) === second) return known;
      throw changes();
    }
    if (first instanceof Following || second instanceof Following) throw changes();
    if (isEqual(first, second)) return known ?? this.#constant(first);
    const repeated = this.#repeated(first, second);
    if (repeated === null) throw changes();
    return repeated;
  }

  #shapeOf(first: TracedValue, second: TracedValue): Length[] {
    const rows = [this.first, this.second].map(({ input }) => input.shape[0]);
    return first.shape.map((length, axis): Length => {
      if (length === second.shape[axis]) return length;
      const times = length / rows[0];
      if (!Number.isInteger(times) || second.shape[axis] !== times * rows[1]) return null;
      return times === 1 ? "batch" : { timesBatch: times };
    });
  }

  /**
   * A constant that is repeated over the rows, as a class token is, from what is repeated; null if it is something
   * else.
   */
  #repeated(first: Tensor, second: Tensor): Node | null {
    if (first.shape.length !== second.shape.length) return null;
    const shape = this.#shapeOf(first, second);
    const [axis, ...more] = shape.flatMap((length, i) => (typeof length === "number" ? [] : [i]));
    if (axis === undefined || more.length > 0 || shape[axis] === null) return null;
    const length = shape[axis];
    const times = lengthFor(length, 1);
    const [lead, rest] = [first.shape.slice(0, axis), first.shape.slice(axis + 1)];
    const size = times * numel(rest);
    const [data, same] = [first, second].map((tensor) => unrepeated(tensor, size, tensor.shape[axis] / times));
    if (data === null || !isDeepStrictEqual(data, same)) return null;
    const inner = length === "batch" ? rest : [times, ...rest];
    const constant: Constant = { kind: "constant", name: "constant", data, shape: [...lead, 1, ...inner] };
    const wide: Length[] = [...lead, "batch", ...inner];
    const node: Node = {
      kind: "node",
      op: expandOp.op,
      attributes: { ofBatch: true },
      inputs: [constant],
      shape: wide,
    };
    if (length === "batch") return this.#add(node, first, second);
    this.#nodes.push(node);
    return this.#add({ kind: "node", op: reshapeOp.op, attributes: {}, inputs: [node], shape }, first, second);
  }

  #constant(tensor: Tensor): Constant {
    const { data, shape } = tensor;
    const constant: Constant = { kind: "constant", name: this.#names.get(tensor) ?? "constant", data, shape };
    this.#values.set(tensor, constant);
    return constant;
  }
}

function callsOf({ ops }: Trace): unknown {
  return ops.map(({ op, inputs, output }) => [op.name, inputs.length, output.shape.length]);
}

/** The blocks of `size` elements that come `times` after one another, each once; null if they differ. */
function unrepeated({ data }: Tensor, size: number, times: number): Float32Array | null {
  const once = new Float32Array(data.length / times);
  for (let i = 0; i < once.length; i++) {
    const from = Math.floor(i / size) * size * times + (i % size);
    once[i] = data[from];
    for (let n = 1; n < times; n++) if (!Object.is(data[from + n * size], data[from])) return null;
  }
  return once;
}

function changes(): UntraceableError {
  return new UntraceableError(
    "a tensor changes with the batch and does not follow from it by operations that have a form there: values that JavaScript computed, " +
      "masks and indices (comparisons, argmax, topk) and what reads them (where, gather, scatter, oneHot) have none",
  );
}

function isEqual(a: Tensor, b: Tensor): boolean {
  return a === b || (isDeepStrictEqual(a.shape, b.shape) && isDeepStrictEqual(a.data, b.data));
}
