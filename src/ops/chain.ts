import { DistilleryError } from "../errors.js";
import { isPropagating, isRecording, type Node, nextOrder, type Seen, seen } from "../tensor/autograd.js";
import { defer } from "../tensor/deferred.js";
import type { AnyOp, Defined, Op } from "../tensor/op.js";
import { Tensor } from "../tensor/tensor.js";
import { isTracing } from "../tensor/tracer.js";

/** A call in a chain. */
interface Link {
  readonly op: AnyOp;
  readonly inputs: readonly Tensor[];
  readonly attributes: unknown;
  readonly output: Tensor;
  /** Its own node; null if it is not recorded. */
  readonly node: DeferredNode | null;
}

/** Computes the output of a call inside of a chain that was run as one kernel. */
export type ValuesInside = (place: number) => Float32Array;

/** The chain that is not computed yet. */
let pending: Chain | null = null;

/** The chain that ends with x and can be extended, if there is one. */
export function chainAt(x: Tensor): Chain | null {
  return pending?.end === x && !isTracing() ? pending : null;
}

/**
 * Consecutive calls, each reading the output of the previous one, that are deferred to run as one kernel: the same bits
 * in fewer passes over memory. The first access to any tensor's `data` runs them: another operation, `backward()`, the
 * end of an arena.
 *
 * If an output inside the chain is read after all, it is computed, and from then on the chain's gradients are those of
 * its single operations. So the bits never depend on what was fused.
 */
export abstract class Chain {
  readonly #links: Link[] = [];
  /** The node of the whole chain, while it replaces the last call's own. */
  #fused: Node | null = null;
  #valuesInside: ValuesInside = () => {
    throw new DistilleryError("INTERNAL", "chain: an output inside is read before the chain has run");
  };

  constructor({ op }: Defined, inputs: readonly Tensor[], attributes: unknown, shape: readonly number[]) {
    this.#add(op, inputs, attributes, shape);
  }

  protected get links(): readonly Link[] {
    return this.#links;
  }

  get length(): number {
    return this.#links.length;
  }

  /** The output of the last call. */
  get end(): Tensor {
    return this.#links[this.length - 1].output;
  }

  /** Defers the first call and returns its output. */
  start(): Tensor {
    defer(() => this.#run());
    pending = this;
    return this.end;
  }

  /** Defers a call that reads the end of the chain and keeps its shape; returns its output. */
  extend({ op }: Defined, inputs: readonly Tensor[], attributes: unknown): Tensor {
    return this.#add(op, inputs, attributes, this.end.shape);
  }

  /** Computes the end as one kernel if there is one for this chain; otherwise returns null. */
  protected abstract runFused(): ValuesInside | null;

  /**
   * Replaces the last call's own node by one node for the chain, if every call is recorded and nothing else was
   * recorded in between: another call would pass its gradient to an input of the chain before the first call does, and
   * the sum would round differently.
   */
  protected fuse<A, S>(op: Op<A, S>, inputs: readonly Tensor[], attributes: A, saved: S): void {
    const { end } = this;
    const [{ node: first }] = this.#links;
    if (end.node === null || first === null || end.node.order - first.order !== this.length - 1) return;
    const { order } = end.node;
    this.#fused = { order, op, inputs, seen: this.#seen(inputs), attributes, output: end.data, saved };
    end.node = this.#fused;
  }

  /** How the inputs were when the calls read them. */
  #seen(inputs: readonly Tensor[]): Seen {
    const wanted = inputs.map((input) =>
      this.#links.some(({ inputs, node }) => node?.seen.wanted[inputs.indexOf(input)] ?? false),
    );
    return { ...seen(inputs), wanted };
  }

  #run(): void {
    pending = null;
    try {
      const valuesInside = this.runFused();
      if (valuesInside === null) this.#runApart();
      else this.#valuesInside = valuesInside;
    } catch (error) {
      this.#valuesInside = () => {
        throw error;
      };
      throw error;
    }
  }

  #runApart(): void {
    for (const { op, inputs, attributes, output, node } of this.#links) {
      const { data, saved } = op.forward(inputs, attributes);
      output.settle(data);
      if (node !== null) node.saved = saved;
    }
  }

  #add(op: AnyOp, inputs: readonly Tensor[], attributes: unknown, shape: readonly number[]): Tensor {
    const place = this.length;
    const output = Tensor.deferred(shape, () => this.#read(place));
    const node = isRecording(inputs) ? new DeferredNode(op, inputs, attributes, output) : null;
    if (node !== null) {
      output.node = node;
      output.requiresGrad = true;
    }
    this.#links.push({ op, inputs, attributes, output, node });
    return output;
  }

  #read(place: number): Float32Array {
    this.#takeApart();
    return this.#valuesInside(place);
  }

  /** Restores the last call's own node. Not within a backward pass, which has already listed its nodes. */
  #takeApart(): void {
    if (this.#fused === null || isPropagating()) return;
    // A graph that is used up remains so.
    if (this.#fused.op === null) for (const { node } of this.#links) if (node !== null) node.op = null;
    this.end.node = this.#links[this.length - 1].node;
    this.#fused = null;
  }
}

/** A recorded call whose output is computed when its backward pass reads it. */
class DeferredNode implements Node {
  readonly order = nextOrder();
  readonly seen: Seen;
  saved: unknown = null;

  constructor(
    public op: AnyOp | null,
    public inputs: Node["inputs"],
    readonly attributes: unknown,
    private readonly tensor: Tensor,
  ) {
    this.seen = seen(inputs);
  }

  get output(): Float32Array {
    return this.tensor.data;
  }
}
