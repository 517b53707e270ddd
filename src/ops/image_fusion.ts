import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { isPropagating, isRecording, type Node } from "../tensor/autograd.js";
import { allocate } from "../tensor/buffer_pool.js";
import { defer, runDeferred } from "../tensor/deferred.js";
import type { Op } from "../tensor/op.js";
import { isReplaying } from "../tensor/replay.js";
import { numel } from "../tensor/shape.js";
import { Tensor } from "../tensor/tensor.js";
import { isTracing } from "../tensor/tracer.js";
import { DeferredNode, type Defined } from "./fusion.js";

/**
 * BatchNorm of images -> sum with a tensor of its shape -> ReLU, with or without the sum, called one after another by any module,
 * runs as one kernel, and so do their gradients: the same bits in fewer passes over memory.
 *
 * BatchNorm is put off if ReLU followed when its layer was called last. The sum extends the chain, ReLU ends it and runs it; the
 * first access to any tensor's `data` before runs its operations one by one. If somebody reads an output inside of the chain
 * afterwards, it is computed, and the gradients are from then on those of the single operations.
 */
const followed = new WeakSet<Tensor>();
/** The chain that is not computed yet. */
let pending: Chain | null = null;
let stages = 0;

/** BatchNorm's output, or its sum, that was computed at once, by the weight of its layer: set as {@link Tensor.fusionStage}. */
class Stage {
  readonly order = stages++;

  constructor(
    readonly weight: Tensor,
    readonly isSum: boolean,
  ) {}
}

interface NormAttributes {
  readonly training: boolean;
  readonly momentum: number;
  readonly eps: number;
}

interface Saved {
  readonly mean: Float32Array;
  readonly invStd: Float32Array;
}

type Norm = Parameters<typeof native.batchNormForward>[0]["norm"];

/** A call in a chain. */
interface Link {
  readonly op: Op;
  readonly inputs: readonly Tensor[];
  readonly attributes: unknown;
  readonly output: Tensor;
  readonly node: DeferredNode | null;
}

/** BatchNorm for inputs x, weight, bias and running statistics, put off; null if it is to be computed at once. */
export function deferNorm({ op }: Defined, inputs: readonly Tensor[], attributes: NormAttributes): Tensor | null {
  const [x, weight] = inputs;
  if (isTracing() || isReplaying() || !followed.has(weight) || numel(x.shape.slice(2)) === 1) return null;
  runDeferred();
  const chain = new Chain(op, inputs, attributes);
  pending = chain;
  defer(() => chain.run());
  return chain.end;
}

/** Remembers the layer of an output of BatchNorm that was computed at once, if it is one of images. */
export function rememberImageNorm(output: Tensor, weight: Tensor): Tensor {
  if (output.shape.length > 2 && numel(output.shape.slice(2)) !== 1) output.fusionStage ??= new Stage(weight, false);
  return output;
}

/** a + b, if one of them is the end of a chain; null if it is to be computed at once. */
export function extendByAdd({ op }: Defined, a: Tensor, b: Tensor): Tensor | null {
  const chain = chainOf(a) ?? chainOf(b);
  return chain !== null && !chain.isSum && a !== b && hasShapeOf(a, b) ? chain.extend(op, [a, b]) : null;
}

/** Remembers the layer behind a sum that was computed at once: of two the one that was called last. */
export function rememberSum(sum: Tensor, a: Tensor, b: Tensor): Tensor {
  const stages = [a, b].map(({ fusionStage }) => fusionStage).filter((stage) => stage instanceof Stage && !stage.isSum);
  const [first, second = first] = stages as Stage[];
  if (first === undefined || !hasShapeOf(a, b)) return sum;
  sum.fusionStage = new Stage((first.order > second.order ? first : second).weight, true);
  return sum;
}

/** ReLU of x, if that is the end of a chain, which is run; otherwise BatchNorm of its layer will be put off. */
export function endByRelu({ op }: Defined, x: Tensor): Tensor | null {
  if (x.fusionStage instanceof Stage) followed.add(x.fusionStage.weight);
  const chain = chainOf(x);
  if (chain === null) return null;
  const output = chain.extend(op, [x]);
  chain.isRectified = true;
  runDeferred();
  return output;
}

function chainOf(x: Tensor): Chain | null {
  return pending?.end === x && !isTracing() ? pending : null;
}

function hasShapeOf({ shape }: Tensor, other: Tensor): boolean {
  return shape.length === other.shape.length && shape.every((length, axis) => length === other.shape[axis]);
}

class Chain {
  /** Whether ReLU ends it. */
  isRectified = false;
  readonly #links: Link[] = [];
  /** The node of the whole chain, while it takes the place of ReLU's own. */
  #fused: Node | null = null;
  /** What the kernel read and wrote, to compute what lies inside again. */
  #norm: Norm | null = null;
  #failure: unknown = null;

  constructor(norm: Op, inputs: readonly Tensor[], attributes: NormAttributes) {
    this.#add(norm, inputs, attributes, inputs[0].shape);
  }

  get end(): Tensor {
    return this.#links[this.#links.length - 1].output;
  }

  get isSum(): boolean {
    return this.#links.length > 1;
  }

  extend(op: Op, inputs: readonly Tensor[]): Tensor {
    return this.#add(op, inputs, null, this.end.shape);
  }

  run(): void {
    pending = null;
    try {
      if (this.isRectified) this.#runFused();
      else this.#runApart();
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  #runApart(): void {
    followed.delete(this.#links[0].inputs[1]);
    for (const { op, inputs, attributes, output, node } of this.#links) {
      const { data, saved } = op.forward(inputs, attributes);
      output.settle(data);
      if (node !== null) node.saved = saved;
    }
  }

  #runFused(): void {
    const [norm, sum] = this.#links;
    const [x, weight, bias, runningMean, runningVar] = norm.inputs;
    const { training, momentum, eps } = norm.attributes as NormAttributes;
    const features = weight.size;
    const [out, mean, invStd] = [allocate(x.size), allocate(features), allocate(features)];
    const addend = this.#addend;
    const state = { weight: weight.data, bias: bias.data, runningMean: runningMean.data, runningVar: runningVar.data };
    const call = { train: training, eps, momentum };
    const [images] = x.shape;
    const length = x.size / images / features;
    native.batchNormForward({
      x: x.data,
      norm: { ...state, ...call },
      addend: addend?.data ?? null,
      relu: true,
      mean,
      invStd,
      out,
      rows: images,
      features,
      length,
    });
    this.end.settle(out);
    // Copies: an optimizer may step before somebody reads what lies inside of the chain.
    const [scale, shift, variance] = [weight, bias, runningVar].map(({ data }) => copyOf(data));
    this.#norm = { weight: scale, bias: shift, runningMean: mean, runningVar: variance, ...call };
    const saved = { mean, invStd };
    if (norm.node !== null) norm.node.saved = saved;
    // What the sum keeps is its shape.
    if (addend !== null && sum.node !== null) sum.node.saved = this.end.shape;
    const { node } = this.end;
    if (node === null || this.#links.some((link) => link.node === null)) return;
    // In the order in which the operations pass their gradients on.
    const inputs = addend === null ? [x, weight, bias] : [addend, x, weight, bias];
    this.#fused = { order: node.order, op: normReluOp as Op, inputs, attributes: { training }, output: out, saved };
    this.end.node = this.#fused;
  }

  /** What is added to BatchNorm's output, if anything is. */
  get #addend(): Tensor | null {
    const [norm, sum] = this.#links;
    if (this.#links.length < 3) return null;
    return sum.inputs[0] === norm.output ? sum.inputs[1] : sum.inputs[0];
  }

  #add(op: Op, inputs: readonly Tensor[], attributes: unknown, shape: readonly number[]): Tensor {
    const place = this.#links.length;
    const output = Tensor.deferred(shape, () => this.#read(place));
    const node = isRecording(inputs) ? new DeferredNode(op, inputs, attributes, output) : null;
    if (node !== null) {
      output.node = node;
      output.requiresGrad = true;
    }
    this.#links.push({ op, inputs, attributes, output, node });
    return output;
  }

  /** The values of an output inside of the chain. Not from the pool: an arena that is open now may be younger than it. */
  #read(place: number): Float32Array {
    if (this.#failure !== null) throw this.#failure;
    this.#takeApart();
    const { output } = this.#links[place];
    const data = new Float32Array(output.size);
    const norm = this.#norm as Norm;
    const [x] = this.#links[0].inputs;
    const [images, features] = x.shape;
    const scratch = () => new Float32Array(features);
    // In train mode its statistics are computed again, and nothing moves.
    const running = norm.train ? { runningMean: scratch(), runningVar: scratch() } : {};
    native.batchNormForward({
      x: x.data,
      norm: { ...norm, ...running },
      addend: place === 0 ? null : (this.#addend?.data ?? null),
      relu: false,
      mean: scratch(),
      invStd: scratch(),
      out: data,
      rows: images,
      features,
      length: x.size / images / features,
    });
    return data;
  }

  /** Gives ReLU its own node back. Not within a backward pass, which has listed its nodes. */
  #takeApart(): void {
    if (this.#fused === null || isPropagating()) return;
    // A graph that is used up stays so.
    if (this.#fused.op === null) for (const { node } of this.#links) if (node !== null) node.op = null;
    this.end.node = this.#links[this.#links.length - 1].node;
    this.#fused = null;
  }
}

function copyOf(data: Float32Array): Float32Array {
  const copy = allocate(data.length);
  copy.set(data);
  return copy;
}

/** The gradients of relu(batchNorm(x) + addend) for inputs addend, if there is one, x, weight and bias. */
const normReluOp: Op<{ training: boolean }, Saved> = {
  name: "batchNormAddRelu",
  forward() {
    throw new DistilleryError("INTERNAL", "batchNormAddRelu: is made of the calls of a chain");
  },
  backward(grad, into, { inputs, attributes, output, saved }) {
    const [intoX, intoWeight, intoBias] = into.slice(-3);
    const [x, weight] = inputs.slice(-3);
    const [images, features] = x.shape;
    native.batchNormBackward({
      grad,
      y: output,
      gradAddend: into.length > 3 ? into[0] : null,
      saved: { x: x.data, mean: saved.mean, invStd: saved.invStd, train: attributes.training },
      weight: weight.data,
      gradients: {
        x: intoX ?? allocate(x.size),
        weight: intoWeight ?? allocate(features),
        bias: intoBias ?? allocate(features),
      },
      rows: images,
      features,
      length: x.size / images / features,
    });
  },
};
