import type { AnyOp } from "../tensor/op.js";

/** Weights in 8 bits: value = q * the scale of its row. */
interface Quantized {
  readonly values: Int8Array;
  readonly scales: Float32Array;
}

/** A multiple of the batch's rows, such as the number of elements of a batch of sequences. */
interface Multiple {
  readonly timesBatch: number;
}

/**
 * The length of an axis: a number, the rows of the batch, a multiple of these, or null if it depends on them otherwise.
 */
export type Length = number | "batch" | Multiple | null;

/** The length for a batch of `rows` rows; NaN if that is not known. */
export function lengthFor(length: Length, rows: number): number {
  if (length === null) return Number.NaN;
  if (typeof length === "number") return length;
  return length === "batch" ? rows : length.timesBatch * rows;
}

/** A tensor that is the same for every batch. Its memory is shared with the module that it came from. */
export interface Constant {
  readonly kind: "constant";
  /** Its key in the state dict if it has one. */
  readonly name: string;
  readonly data: Float32Array;
  readonly shape: readonly number[];
  /** Set if it is stored in 8 bits; `data` is then what they stand for. */
  readonly quantized?: Quantized;
  /** Set if it is stored as float16: its bits; `data` is then what they stand for. */
  readonly half?: Uint16Array;
}

/** The batch. */
export interface Input {
  readonly kind: "input";
  readonly shape: readonly Length[];
}

/** An operation's arguments other than tensors. The node has the `shape`. */
export type Attributes = Readonly<Record<string, unknown>>;

/** One operation of a forward pass. */
export interface Node {
  readonly kind: "node";
  readonly op: AnyOp;
  readonly attributes: Attributes;
  readonly inputs: readonly Value[];
  readonly shape: readonly Length[];
}

export type Value = Input | Constant | Node;

/** A network as the operations of its forward pass, in order, whatever code called them. */
export interface Graph {
  readonly input: Input;
  readonly output: Input | Node;
  /** Further outputs: what the modules at these paths gave. */
  readonly taps: Readonly<Record<string, Value>>;
  readonly nodes: readonly Node[];
}

/**
 * Replaces each node by the result of `change`, which gets the node with its inputs already replaced. Nodes that
 * nothing reads any more are left out.
 */
export function rewrite(graph: Graph, change: (node: Node, before: Node) => Node): Graph {
  const replaced = new Map<Value, Value>();
  const now = <V extends Value>(value: V): V => (replaced.get(value) ?? value) as V;
  for (const node of graph.nodes) replaced.set(node, change({ ...node, inputs: node.inputs.map(now) }, node));
  const output = now(graph.output);
  const taps = Object.fromEntries(Object.entries(graph.taps).map(([path, value]) => [path, now(value)]));
  const read = new Set<Value>([output, ...Object.values(taps)]);
  for (const value of read) if (value.kind === "node") for (const input of value.inputs) read.add(input);
  return { ...graph, output, taps, nodes: graph.nodes.map(now).filter((node) => read.has(node)) };
}

/** How often each value is read, by nodes and as an output. */
export function countReaders(graph: Graph): ReadonlyMap<Value, number> {
  const readers = new Map<Value, number>();
  const outputs = [graph.output, ...Object.values(graph.taps)];
  for (const value of [...outputs, ...graph.nodes.flatMap(({ inputs }) => inputs)]) {
    readers.set(value, (readers.get(value) ?? 0) + 1);
  }
  return readers;
}

/** The constants that nodes read, each once. */
export function constantsOf(graph: Graph): Constant[] {
  const inputs = new Set(graph.nodes.flatMap(({ inputs }) => inputs));
  return [...inputs].filter((value) => value.kind === "constant");
}
