import type { Op } from "../tensor/op.js";

/** Weights in 8 bits: value = q * the scale of its row. */
export interface Quantised {
  readonly values: Int8Array;
  readonly scales: Float32Array;
}

/** The length of an axis: a number, the rows of the batch, or null where it is something else that follows the batch. */
export type Length = number | "batch" | null;

/** What a network multiplies and adds: the same for every batch. */
export interface Constant {
  readonly kind: "constant";
  /** Its key in the state dict where it has one. */
  readonly name: string;
  readonly data: Float32Array;
  readonly shape: readonly number[];
  /** Where it is stored in 8 bits; `data` is then what they stand for. */
  readonly quantised?: Quantised;
}

/** The batch, [rows, features]. */
export interface Input {
  readonly kind: "input";
  readonly features: number;
}

/** One operation of a forward pass. */
export interface Step {
  readonly kind: "step";
  readonly op: Op;
  readonly attributes: unknown;
  readonly inputs: readonly Value[];
  readonly shape: readonly Length[];
}

export type Value = Input | Constant | Step;

/** A network as the operations of its forward pass, in their order, whatever code said them. */
export interface Graph {
  readonly input: Input;
  readonly output: Input | Step;
  readonly steps: readonly Step[];
}

/**
 * The graph with each step replaced by what `change` makes of it, its inputs replaced already. Steps that nothing reads
 * any more are left out.
 */
export function rewrite(graph: Graph, change: (step: Step, before: Step) => Step): Graph {
  const replaced = new Map<Value, Value>();
  const now = <V extends Value>(value: V): V => (replaced.get(value) ?? value) as V;
  for (const step of graph.steps) replaced.set(step, change({ ...step, inputs: step.inputs.map(now) }, step));
  const output = now(graph.output);
  const read = new Set<Value>([output]);
  for (const value of read) if (value.kind === "step") for (const input of value.inputs) read.add(input);
  return { ...graph, output, steps: graph.steps.map(now).filter((step) => read.has(step)) };
}
