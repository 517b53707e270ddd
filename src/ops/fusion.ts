import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { isPropagating, isRecording, type Node, nextOrder } from "../tensor/autograd.js";
import { allocate, allocateBytes } from "../tensor/buffer_pool.js";
import { defer, runDeferred } from "../tensor/deferred.js";
import type { Op } from "../tensor/op.js";
import { currentGenerator } from "../tensor/random.js";
import { isReplaying } from "../tensor/replay.js";
import { Tensor } from "../tensor/tensor.js";
import { isTracing } from "../tensor/tracer.js";

/**
 * Linear -> BatchNorm -> ReLU -> dropout, called one after another by any module, runs as one kernel, and so does the chain
 * without dropout: the same bits in one pass over memory, the mask drawn beside the product.
 *
 * The product is put off, and the calls that follow extend the chain if they read its end. Dropout runs it, and so does the
 * first access to any tensor's `data`: another operation, `backward()`, the end of an arena. If somebody reads an output inside
 * of the chain after all, it is computed, and the chain's gradients are from then on those of its operations one by one. So the
 * bits never depend on what was fused.
 *
 * A chain ends where the last one of the same weight ended: a product is put off only if BatchNorm and ReLU followed the
 * last one, and the ReLU only if dropout did in the same mode. What a network returns is thus computed when its `forward` returns, and the caller may
 * fill the array of its inputs, or those of its weights, anew.
 */
const followed = new WeakSet<Tensor>();
/** The weights whose chain went on from ReLU to dropout, with BatchNorm in train mode and in eval mode. */
const dropped = { train: new WeakSet<Tensor>(), eval: new WeakSet<Tensor>() };

/** Where a tensor stands that may be the beginning of a chain, or its end: set as {@link Tensor.fusionStage}. */
class Stage {
  constructor(
    readonly weight: Tensor,
    /** The product, BatchNorm of it, or ReLU of that in either mode. */
    readonly reached: "product" | "norm" | Mode,
  ) {}
}
type Mode = "train" | "eval";
/** The chain that is not computed yet. */
let pending: Chain | null = null;

/** An operation as `defineOp` gives it. */
export interface Defined {
  // biome-ignore lint/suspicious/noExplicitAny: operations of any attributes.
  readonly op: Op<any, any>;
}

/** Those of a linear layer's product. */
export interface LinearAttributes {
  readonly relu: boolean;
  /** Whether its operands are rounded to bfloat16, in its backward pass too. */
  readonly bfloat16?: boolean;
}

interface NormAttributes {
  readonly training: boolean;
  readonly momentum: number;
  readonly eps: number;
}

/** What the backward pass of a fused chain needs. */
interface Saved {
  readonly product: Float32Array;
  readonly mean: Float32Array;
  readonly invStd: Float32Array;
  readonly mask: Uint8Array | null;
}

type Norm = Parameters<typeof native.batchNormForward>[0]["norm"];

/** What a fused BatchNorm read, with the mean that it subtracted. */
type FusedNorm = Omit<Norm, "runningMean"> & { readonly product: Float32Array; readonly mean: Float32Array };

/** A call in a chain. */
interface Link {
  readonly op: Op;
  readonly inputs: readonly Tensor[];
  readonly attributes: unknown;
  readonly output: Tensor;
  /** Its own node; null if it is not recorded. */
  readonly node: Node | null;
}

/** x weight^T + bias, for inputs x, weight and perhaps bias, put off; null if it is to be computed at once. */
export function deferLinear({ op }: Defined, inputs: readonly Tensor[], attributes: LinearAttributes): Tensor | null {
  // The input may be the end of another chain, or a chain of this weight end here.
  runDeferred();
  if (isTracing() || isReplaying() || !followed.has(inputs[1])) return null;
  pending = new Chain(op, inputs, attributes);
  defer(() => pending?.run());
  return pending.end;
}

/** Remembers the weight of a product that was computed at once. */
export function rememberProduct(product: Tensor, weight: Tensor): Tensor {
  product.fusionStage = new Stage(weight, "product");
  return product;
}

/** Remembers the weight of x's product, if there is one, for BatchNorm's output that was computed at once. */
export function rememberNorm(output: Tensor, x: Tensor): Tensor {
  const weight = weightAt(x, "product");
  if (weight !== null) output.fusionStage = new Stage(weight, "norm");
  return output;
}

/** BatchNorm, for inputs x, weight, bias and running statistics, if x is the end of a chain; else null. */
export function extendByNorm({ op }: Defined, inputs: readonly Tensor[], attributes: NormAttributes): Tensor | null {
  const [x] = inputs;
  const chain = chainOf(x);
  // The kernel refuses a batch of one.
  if (chain?.length !== 1 || (attributes.training && x.shape[0] < 2)) return null;
  return chain.extend(op, inputs, attributes);
}

/** ReLU of x, if that is the end of a chain with BatchNorm; otherwise a product of its weight will be put off. */
export function extendByRelu({ op }: Defined, x: Tensor): Tensor | null {
  const weight = weightAt(x, "norm");
  if (weight !== null) followed.add(weight);
  const chain = chainOf(x);
  if (chain?.length !== 2) return null;
  const output = chain.extend(op, [x], null);
  if (!dropped[chain.mode].has(chain.weight)) runDeferred();
  return output;
}

/** Dropout of x, if that is the end of a chain with BatchNorm and ReLU, which is run; else null. */
export function extendByDropout({ op }: Defined, x: Tensor, p: number): Tensor | null {
  const chain = dropoutChain(x);
  if (chain === null) return null;
  const output = chain.extend(op, [x], { p });
  runDeferred();
  return output;
}

/** Dropout of x that drops nothing: ends the chain as another dropout does. */
export function endByDropout(x: Tensor): void {
  if (dropoutChain(x) !== null) runDeferred();
}

/** The chain with BatchNorm and ReLU that ends with x; otherwise one of its weight will be put off until dropout. */
function dropoutChain(x: Tensor): Chain | null {
  const stage = x.fusionStage;
  if (stage instanceof Stage && (stage.reached === "train" || stage.reached === "eval")) {
    dropped[stage.reached].add(stage.weight);
  }
  const chain = chainOf(x);
  if (chain?.length !== 3) return null;
  chain.isDropped = true;
  return chain;
}

/** The chain that ends with x, if there is one. */
function chainOf(x: Tensor): Chain | null {
  return pending?.end === x && !isTracing() ? pending : null;
}

/** The weight of the chain whose stage x reached, if it did. */
function weightAt({ fusionStage }: Tensor, reached: Stage["reached"]): Tensor | null {
  return fusionStage instanceof Stage && fusionStage.reached === reached ? fusionStage.weight : null;
}

class Chain {
  isDropped = false;
  readonly #links: Link[] = [];
  /** The node of the whole chain, while it takes the place of the last call's own. */
  #fused: Node | null = null;
  /** What a fused BatchNorm read, to compute its output again. */
  #norm: FusedNorm | null = null;
  #failure: unknown = null;

  constructor(linear: Op, inputs: readonly Tensor[], attributes: LinearAttributes) {
    const [x, weight] = inputs;
    this.#add(linear, inputs, attributes, [x.shape[0], weight.shape[0]]);
  }

  get length(): number {
    return this.#links.length;
  }

  get weight(): Tensor {
    return this.#links[0].inputs[1];
  }

  /** The mode of its BatchNorm. */
  get mode(): Mode {
    return (this.#links[1].attributes as NormAttributes).training ? "train" : "eval";
  }

  get end(): Tensor {
    return this.#links[this.length - 1].output;
  }

  extend(op: Op, inputs: readonly Tensor[], attributes: unknown): Tensor {
    return this.#add(op, inputs, attributes, this.end.shape);
  }

  /** Computes the end of the chain. */
  run(): void {
    pending = null;
    const isRectified = this.length > 2;
    if (!isRectified) followed.delete(this.weight);
    else if (!this.isDropped) dropped[this.mode].delete(this.weight);
    try {
      if (!isRectified) this.#runApart();
      else this.#runFused();
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  #add(op: Op, inputs: readonly Tensor[], attributes: unknown, shape: readonly number[]): Tensor {
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

  /** Linear, or linear and BatchNorm: nothing to fuse. */
  #runApart(): void {
    for (const { op, inputs, attributes, output, node } of this.#links) {
      const { data, saved } = op.forward(inputs, attributes);
      output.settle(data);
      if (node !== null) node.saved = saved;
    }
  }

  #runFused(): void {
    const [linear, norm, , dropout] = this.#links;
    const [x, weight, bias] = linear.inputs;
    const [, scale, shift, runningMean, runningVar] = norm.inputs;
    const { training, momentum, eps } = norm.attributes as NormAttributes;
    const { bfloat16 = false } = linear.attributes as LinearAttributes;
    const { p } = dropout === undefined ? { p: 0 } : (dropout.attributes as { p: number });
    const [rows, inputs] = x.shape;
    const features = weight.shape[0];
    const product = allocate(rows * features);
    const out = allocate(rows * features);
    const mean = allocate(features);
    const invStd = allocate(features);
    const mask = p > 0 ? allocateBytes(rows * features) : null;
    native.linearNormReluDropoutForward({
      linear: { x: x.data, weight: weight.data, bias: bias === undefined ? null : bias.data, bfloat16 },
      norm: {
        weight: scale.data,
        bias: shift.data,
        runningMean: runningMean.data,
        runningVar: runningVar.data,
        train: training,
        eps,
        momentum,
      },
      dropout: mask && { p, mask, state: currentGenerator().state },
      linearOut: product,
      mean,
      invStd,
      out,
      rows,
      inputs,
      features,
    });
    this.end.settle(out);
    if (!this.isDropped) this.end.fusionStage = new Stage(weight, this.mode);
    const saved: Saved = { product, mean, invStd, mask };
    // Copies: an optimizer may step before somebody reads what lies inside of the chain.
    this.#norm = {
      product,
      mean,
      weight: copyOf(scale.data),
      bias: copyOf(shift.data),
      runningVar: copyOf(runningVar.data),
      train: training,
      eps,
      momentum,
    };
    if (norm.node !== null) norm.node.saved = { mean, invStd };
    if (dropout !== undefined && dropout.node !== null) dropout.node.saved = mask;
    const sources = [x, weight, scale, shift];
    if (bias !== undefined) sources.push(bias);
    this.#fuse(fusedOp, sources, { training, p, ...(bfloat16 && { bfloat16 }) }, saved);
  }

  /** Puts one node in the place of the last call's own, if every call is recorded. */
  #fuse<A, S>(op: Op<A, S>, inputs: readonly Tensor[], attributes: A, saved: S): void {
    const { end } = this;
    if (end.node === null || this.#links.some(({ node }) => node === null)) return;
    const { order } = end.node;
    this.#fused = { order, op: op as Op, inputs, attributes, output: end.data, saved };
    end.node = this.#fused;
  }

  /** The values of an output inside of the chain. Not from the pool: an arena that is open now may be younger than it. */
  #read(place: number): Float32Array {
    if (this.#failure !== null) throw this.#failure;
    this.#takeApart();
    const { output } = this.#links[place];
    const norm = this.#norm as FusedNorm;
    if (place === 0) return norm.product;
    const data = new Float32Array(output.size);
    if (place === 1) recomputeNorm(norm, data);
    else native.reluForward(this.#links[1].output.data, data);
    return data;
  }

  /** Gives the last call its own node back. Not within a backward pass, which has listed its nodes. */
  #takeApart(): void {
    if (this.#fused === null || isPropagating()) return;
    // A graph that is used up stays so.
    if (this.#fused.op === null) for (const { node } of this.#links) if (node !== null) node.op = null;
    this.end.node = this.#links[this.length - 1].node;
    this.#fused = null;
  }
}

/** A recorded call whose output is computed when its backward pass reads it. */
export class DeferredNode implements Node {
  readonly order = nextOrder();
  saved: unknown = null;

  constructor(
    public op: Op | null,
    readonly inputs: readonly Tensor[],
    readonly attributes: unknown,
    private readonly tensor: Tensor,
  ) {}

  get output(): Float32Array {
    return this.tensor.data;
  }
}

/** The output of a fused BatchNorm: its statistics are computed again, and nothing moves. */
function recomputeNorm({ product, mean, ...norm }: FusedNorm, out: Float32Array): void {
  const features = mean.length;
  const scratch = () => new Float32Array(features);
  const running = norm.train
    ? { runningMean: scratch(), runningVar: scratch() }
    : { runningMean: mean, runningVar: norm.runningVar };
  native.batchNormForward({
    x: product,
    norm: { ...norm, ...running },
    addend: null,
    relu: false,
    mean: scratch(),
    invStd: scratch(),
    out,
    rows: product.length / features,
    features,
    length: 1,
  });
}

function copyOf(data: Float32Array): Float32Array {
  const copy = allocate(data.length);
  copy.set(data);
  return copy;
}

/** The gradients of dropout(relu(batchNorm(linear(x)))) for inputs x, weight, scale, shift and perhaps bias. */
export const fusedOp: Op<{ training: boolean; p: number; bfloat16?: boolean }, Saved> = {
  name: "linearBatchNormReluDropout",
  forward() {
    throw new DistilleryError("INTERNAL", "linearBatchNormReluDropout: is made of the calls of a chain");
  },
  backward(
    upstream,
    into,
    { inputs: [x, weight, scale, shift], attributes: { training, p, bfloat16 = false }, saved },
  ) {
    const [intoX, intoWeight, intoScale, intoShift, intoBias] = into;
    const [rows, inputs] = x.shape;
    const features = weight.shape[0];
    const { product, mean, invStd, mask } = saved;
    const grad = allocate(rows * features);
    native.normReluDropoutBackward({
      grad: upstream,
      saved: { x: product, mean, invStd, train: training },
      weight: scale.data,
      bias: shift.data,
      mask,
      p,
      gradients: { x: grad, weight: intoScale ?? allocate(features), bias: intoShift ?? allocate(features) },
      rows,
      features,
    });
    const gradBias = intoBias ?? null;
    native.linearBackward(grad, x.data, weight.data, intoX, intoWeight, gradBias, rows, inputs, features, bfloat16);
  },
  lower: (attributes) => ({ kind: "linearBatchNormReluDropout", ...attributes }),
};
