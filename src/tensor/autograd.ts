import { badArgument, expectSync } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import type { Barrier } from "./barrier.js";
import { Arena, allocate } from "./buffer_pool.js";
import type { RowValues } from "./grad_rows.js";
import type { Gradient } from "./gradient.js";
import { withReader } from "./reads.js";

/** The part of a tensor that autograd uses. */
interface Differentiable {
  readonly shape: readonly number[];
  readonly size: number;
  requiresGrad: boolean;
  /** How often an optimizer, a state dict or an average has changed its values. */
  readonly version: number;
  /** The call that computed it; null for a leaf. */
  node: Node | null;
  readonly gradient: Gradient;
}

/** The arguments and results of a call, which its backward pass reads. */
interface RecordedCall {
  readonly inputs: readonly Differentiable[];
  readonly attributes: unknown;
  readonly output: Float32Array;
  readonly saved: unknown;
}

/** The part of an operation that autograd uses. */
interface DifferentiableOp {
  backward?(grad: Float32Array, into: readonly (Float32Array | null)[], call: RecordedCall): void;
  barrier?(grad: Float32Array, call: RecordedCall): Barrier;
  backwardRows?(grad: Float32Array, call: RecordedCall): (RowValues & { readonly input: number }) | null;
  readonly passesGradient?: boolean;
}

/** A recorded call of an operation. */
export interface Node extends RecordedCall {
  /** Increases with time: an operation comes after those whose outputs it reads. */
  readonly order: number;
  /** Empty after its last backward pass, so that a loss that is kept does not retain what it was computed from. */
  inputs: readonly Differentiable[];
  /** The state of the inputs when they were read. */
  readonly seen: Seen;
  /** null after its last backward pass: without `retainGraph`, `backward()` uses up the graph. */
  op: DifferentiableOp | null;
  saved: unknown;
}

/** How the inputs of a call were. */
export interface Seen {
  /** Whether each required a gradient. */
  readonly wanted: readonly boolean[];
  readonly versions: readonly number[];
}

const NO_INPUTS: readonly Differentiable[] = [];

let enabled = true;
let operations = 0;
let backwardPasses = 0;

/**
 * Runs `body` without recording operations, like `torch.no_grad()`: its results require no gradient.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for an `async` function, which would continue with recording.
 * @example
 * ```ts
 * const teacherLogits = noGrad(() => teacher.forward(inputs));
 * ```
 */
export function noGrad<T>(body: () => T): T {
  if (typeof body !== "function") throw badArgument("body", "a function", body);
  return expectSync("noGrad", unrecorded(body));
}

/** {@link noGrad} that also accepts an `async` body; it applies to the part before the first `await`. */
export function unrecorded<T>(body: () => T): T {
  const before = enabled;
  enabled = false;
  try {
    return body();
  } finally {
    enabled = before;
  }
}

/** Whether an operation on these inputs would be recorded. */
export function isRecording(inputs: readonly Differentiable[]): boolean {
  if (!enabled) return false;
  for (const input of inputs) if (input.requiresGrad) return true;
  return false;
}

/** Records the call that made `output`. Call it only if {@link isRecording}. */
export function record(
  output: Differentiable,
  op: DifferentiableOp,
  inputs: readonly Differentiable[],
  attributes: unknown,
  { data, saved }: { readonly data: Float32Array; readonly saved: unknown },
): void {
  output.node = { order: nextOrder(), op, inputs, seen: seen(inputs), attributes, output: data, saved };
  output.requiresGrad = true;
}

/** The current state of the inputs of a call. */
export function seen(inputs: readonly Differentiable[]): Seen {
  return { wanted: inputs.map(({ requiresGrad }) => requiresGrad), versions: inputs.map(({ version }) => version) };
}

/** The order number of an operation that is called now. */
export function nextOrder(): number {
  return operations++;
}

/** Whether a backward pass is running. */
export function isPropagating(): boolean {
  return backwardPasses > 0;
}

/** Adds the gradient of `root`, a scalar, to the `grad` of every leaf that it was computed from. */
export function runBackward(root: Differentiable, retainGraph: boolean): void {
  if (new BackwardPass(root, retainGraph).run() === null) return;
  const text = "backward(): a BatchNorm over several shards waits for the others: `distill` and `trainTeacher` run it";
  throw new DistilleryError("BAD_ARGUMENT", text);
}

/** A backward pass that waits at barriers. */
export class BackwardPass {
  readonly #arena = new Arena();
  /** The gradients of the remaining nodes. */
  readonly #grads = new Map<Node, Float32Array>();
  /** The remaining nodes, the next one last. */
  readonly #nodes: Node[];
  #hasBegun = false;
  #waiting: Barrier | null = null;

  constructor(
    private readonly root: Differentiable,
    private readonly retainGraph = false,
  ) {
    if (!root.requiresGrad) {
      const text =
        "no input of the tensor requires a gradient; of what step() gives, a copy, call it inside of the step";
      throw new DistilleryError("NO_GRADIENT", `backward(): ${text}`);
    }
    if (root.size !== 1) {
      const shape = `[${root.shape.join(", ")}]`;
      throw new DistilleryError(
        "SHAPE_MISMATCH",
        `backward(): expected a scalar (take sum() or mean()), got shape ${shape}`,
      );
    }
    this.#nodes = root.node === null ? [] : reachable(root.node);
  }

  /** Continues to the next barrier, which it returns; null: it has ended. */
  run(): Barrier | null {
    backwardPasses += 1;
    try {
      const barrier = this.#arena.run(() => this.#toBarrier());
      if (barrier === null) this.#arena.release();
      return barrier;
    } catch (error) {
      this.#arena.release();
      throw error;
    } finally {
      backwardPasses -= 1;
    }
  }

  #toBarrier(): Barrier | null {
    const { root } = this;
    if (!this.#hasBegun) {
      const one = allocate(1).fill(1);
      if (root.node === null) deliver(root, one);
      else this.#grads.set(root.node, one);
      this.#hasBegun = true;
    }
    for (let node = this.#nodes.at(-1); node !== undefined; node = this.#nodes.at(-1)) {
      const grad = this.#grads.get(node);
      if (this.#waiting === null) {
        this.#waiting = (grad && node.op?.barrier?.(grad, node)) ?? null;
        if (this.#waiting !== null) return this.#waiting;
      }
      this.#waiting = null;
      if (grad !== undefined) {
        this.#grads.delete(node);
        if (!this.#passOn(node, grad)) {
          this.#propagate(node, grad);
          this.#arena.free(grad);
        }
      }
      if (!this.retainGraph) useUp(node);
      this.#nodes.pop();
    }
    return null;
  }

  /**
   * Makes the array the gradient of an input, if it is that gradient, and adds it to or copies it for the others. Not
   * if an input is a leaf, is there twice, or was broadcast.
   */
  #passOn({ op, inputs, seen }: Node, grad: Float32Array): boolean {
    if (op?.passesGradient !== true) return false;
    const wanted = inputs.filter(({ requiresGrad }, i) => requiresGrad && seen.wanted[i]);
    const sources = new Set(wanted.flatMap(({ node }) => node ?? []));
    if (sources.size < wanted.length || wanted.some(({ size }) => size !== grad.length)) return false;
    let isFree = true;
    for (const source of sources) {
      const before = this.#grads.get(source);
      if (before !== undefined) native.accumulate(grad, before);
      else this.#grads.set(source, isFree ? grad : copied(grad));
      isFree &&= before !== undefined;
    }
    if (isFree) this.#arena.free(grad);
    return true;
  }

  #propagate(node: Node, grad: Float32Array): void {
    if (node.op === null) {
      throw new DistilleryError(
        "NO_GRADIENT",
        "backward(): a second time through the same graph: call backward({ retainGraph: true }) the first time",
      );
    }
    const { inputs, op } = node;
    const { wanted, versions } = node.seen;
    const unchanged = (tensor: object) => {
      const input = inputs.indexOf(tensor as Differentiable);
      if (input >= 0 && inputs[input].version !== versions[input]) throw changedSince(inputs[input]);
    };
    const byRows = deliverRows(node, grad);
    const into: (Float32Array | null)[] = [];
    const present: (Float32Array | null)[] = [];
    for (let i = 0; i < inputs.length; i++) {
      const input = inputs[i];
      const isWanted = wanted[i] && input.requiresGrad && i !== byRows;
      const before = isWanted ? gradientSoFar(input, this.#grads) : null;
      present.push(before);
      into.push(isWanted ? target(input, before, this.#grads) : null);
    }
    withReader(unchanged, () => op.backward?.(grad, into, node));
    for (let i = 0; i < inputs.length; i++) {
      const [sum, array] = [present[i], into[i]];
      if (sum === null || array === null) continue;
      native.accumulate(array, sum);
      this.#arena.free(array);
    }
  }
}

function copied(grad: Float32Array): Float32Array {
  const copy = allocate(grad.length);
  copy.set(grad);
  return copy;
}

/** The leaves to which a backward pass from `root` gives a gradient. */
export function leavesOf(root: Differentiable): Differentiable[] {
  if (root.node === null) return root.requiresGrad ? [root] : [];
  const read = reachable(root.node).flatMap(({ inputs, seen }) => inputs.filter((_, i) => seen.wanted[i]));
  return read.filter(({ node, requiresGrad }) => node === null && requiresGrad);
}

/** The nodes behind `root`, each after those that it read from. */
function reachable(root: Node): Node[] {
  const seen = new Set([root]);
  for (const node of seen) {
    for (const { node: source } of node.inputs) if (source !== null) seen.add(source);
  }
  return [...seen].sort((a, b) => a.order - b.order);
}

function useUp(node: Node): void {
  node.op = null;
  node.saved = null;
  node.inputs = NO_INPUTS;
}

function changedSince({ shape }: Differentiable): DistilleryError {
  const text = `a tensor of shape [${shape.join(", ")}] was changed after the forward pass, by an optimizer's step or a state dict`;
  return new DistilleryError("NO_GRADIENT", `backward(): ${text}: run the forward pass again`);
}

/** Gives a leaf only the rows of its gradient, if the operation knows them; returns the index of that input, or -1. */
function deliverRows(node: Node, grad: Float32Array): number {
  const known = node.op?.backwardRows?.(grad, node) ?? null;
  if (known === null) return -1;
  const input = node.inputs[known.input];
  if (!(node.seen.wanted[known.input] && input.requiresGrad)) return known.input;
  return input.node === null && input.gradient.addRows(known) ? known.input : -1;
}

function gradientSoFar(input: Differentiable, grads: Map<Node, Float32Array>): Float32Array | null {
  return input.node === null ? input.gradient.materialized() : (grads.get(input.node) ?? null);
}

/**
 * Where the gradient of an input is written: directly to its destination, or to a buffer if there is a gradient
 * already.
 */
function target(input: Differentiable, before: Float32Array | null, grads: Map<Node, Float32Array>): Float32Array {
  if (before !== null) return allocate(input.size);
  if (input.node === null) return input.gradient.buffer();
  const array = allocate(input.size);
  grads.set(input.node, array);
  return array;
}

function deliver({ gradient }: Differentiable, grad: Float32Array): void {
  const before = gradient.materialized();
  if (before === null) gradient.buffer().set(grad);
  else native.accumulate(grad, before);
}
