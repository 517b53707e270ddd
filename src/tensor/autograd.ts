import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { allocate, scoped } from "./memory.js";
import type { Tensor } from "./tensor.js";

/**
 * Writes the gradient of each input into `into` (null where an input asks for none), from the gradient of the output.
 * What stands in `into` before does not matter.
 */
export type Backward = (grad: Float32Array, into: readonly (Float32Array | null)[]) => void;

/** One recorded operation. */
export interface Node {
  /** Grows with time: an operation comes after those whose outputs it reads. */
  readonly order: number;
  readonly inputs: readonly Tensor[];
  /** null once it ran: the graph is used up by `backward()`. */
  backward: Backward | null;
}

let enabled = true;
let operations = 0;

/**
 * Runs `body` without recording operations, as `torch.no_grad()`; what it computes asks for no gradient.
 *
 * @example
 * ```ts
 * const teacherLogits = noGrad(() => teacher.forward(inputs));
 * ```
 */
export function noGrad<T>(body: () => T): T {
  const before = enabled;
  enabled = false;
  try {
    return body();
  } finally {
    enabled = before;
  }
}

/** Whether an operation on these inputs would be recorded. */
export function isRecording(inputs: readonly Tensor[]): boolean {
  return enabled && inputs.some((input) => input.requiresGrad);
}

/** Records the operation that made `output`. Call it only where {@link isRecording}. */
export function record(output: Tensor, inputs: readonly Tensor[], backward: Backward): Tensor {
  output.node = { order: operations++, inputs, backward };
  output.requiresGrad = true;
  return output;
}

/** Adds the gradients of `root`, a scalar, to the `grad` of every leaf that it was computed from. */
export function runBackward(root: Tensor): void {
  if (!root.requiresGrad) {
    throw new DistilleryError(
      "NO_GRADIENT",
      "backward(): the tensor was computed from nothing that asks for a gradient",
    );
  }
  if (root.size !== 1) {
    const shape = `[${root.shape.join(", ")}]`;
    throw new DistilleryError(
      "SHAPE_MISMATCH",
      `backward(): expected a scalar (take sum() or mean()), got shape ${shape}`,
    );
  }
  scoped(() => {
    const one = allocate(1).fill(1);
    if (root.node === null) return deliver(root, one);
    const grads = new Map<Node, Float32Array>([[root.node, one]]);
    for (const node of reachable(root.node)) propagate(node, grads);
  });
}

/** The nodes behind `root`, each before those that it read from. */
function reachable(root: Node): Node[] {
  const seen = new Set([root]);
  for (const node of seen) {
    for (const { node: source } of node.inputs) if (source !== null) seen.add(source);
  }
  return [...seen].sort((a, b) => b.order - a.order);
}

function propagate(node: Node, grads: Map<Node, Float32Array>): void {
  const grad = grads.get(node);
  if (grad === undefined) return;
  if (node.backward === null) {
    throw new DistilleryError(
      "NO_GRADIENT",
      "backward(): a second time through the same graph; run the forward pass again",
    );
  }
  const targets = node.inputs.map((input) => (input.requiresGrad ? target(input, grads) : null));
  node.backward(
    grad,
    targets.map((target) => target?.array ?? null),
  );
  for (const target of targets) {
    if (target?.sum) native.accumulate(target.array, target.sum);
  }
  node.backward = null;
}

/** Where the gradient of an input goes: straight to its place, or beside it where something stands there already. */
function target(input: Tensor, grads: Map<Node, Float32Array>): { array: Float32Array; sum: Float32Array | null } {
  const before = input.node === null ? input.settledGrad() : (grads.get(input.node) ?? null);
  if (before !== null) return { array: allocate(input.size), sum: before };
  if (input.node === null) return { array: input.claimGrad(), sum: null };
  const array = allocate(input.size);
  grads.set(input.node, array);
  return { array, sum: null };
}

function deliver(leaf: Tensor, grad: Float32Array): void {
  const before = leaf.settledGrad();
  if (before === null) leaf.claimGrad().set(grad);
  else native.accumulate(grad, before);
}
