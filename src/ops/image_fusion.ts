import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { allocate, isInArena } from "../tensor/buffer_pool.js";
import { runDeferred } from "../tensor/deferred.js";
import type { Defined, Op } from "../tensor/op.js";
import { isReplaying } from "../tensor/replay.js";
import { isSameShape, numel } from "../tensor/shape.js";
import type { Tensor } from "../tensor/tensor.js";
import { isTracing } from "../tensor/tracer.js";
import { Chain, chainAt, type ValuesInside } from "./chain.js";
import { type BatchNormAttributes, keepNormCall, type NormSaved, normCall, repeatNormCall } from "./norm_call.js";

/**
 * If any module calls BatchNorm of images, a sum with a tensor of the same shape (optional) and ReLU one after another,
 * they run as one kernel, and so do their gradients.
 *
 * BatchNorm is deferred only in an arena, and only if ReLU followed when its layer was last called. The sum extends the
 * chain, ReLU ends it and runs it.
 */
const followed = new WeakSet<Tensor>();
let stages = 0;

/**
 * BatchNorm's output, or its sum, that was computed at once, by the weight of its layer: set as
 * {@link Tensor.fusionStage}.
 */
class ImageStage {
  readonly order = stages++;

  constructor(
    readonly weight: Tensor,
    readonly isSum: boolean,
  ) {}
}

/** BatchNorm for inputs x, weight, bias and running statistics, deferred; null if it is to be computed at once. */
export function deferNorm(norm: Defined, inputs: readonly Tensor[], attributes: BatchNormAttributes): Tensor | null {
  const [x, weight] = inputs;
  if (!isInArena() || isTracing() || isReplaying()) return null;
  if (!followed.has(weight) || numel(x.shape.slice(2)) === 1) return null;
  return new ImageChain(norm, inputs, attributes, x.shape).start();
}

/** Remembers the layer of an output of BatchNorm that was computed at once, if it is one of images. */
export function rememberImageNorm(output: Tensor, weight: Tensor): Tensor {
  const lengths = output.shape.slice(2);
  if (lengths.length > 0 && numel(lengths) !== 1) output.fusionStage ??= new ImageStage(weight, false);
  return output;
}

/** a + b, if one of them is the end of a chain; null if it is to be computed at once. */
export function extendByAdd(add: Defined, a: Tensor, b: Tensor): Tensor | null {
  const chain = imageChainAt(a) ?? imageChainAt(b);
  return chain?.length === 1 && a !== b && isSameShape(a.shape, b.shape) ? chain.extend(add, [a, b], null) : null;
}

/** Remembers the layer behind a sum that was computed at once: of two the one that was called last. */
export function rememberSum(sum: Tensor, a: Tensor, b: Tensor): Tensor {
  const isLayer = (stage: unknown): stage is ImageStage => stage instanceof ImageStage && !stage.isSum;
  const [first, second = first] = [a.fusionStage, b.fusionStage].filter(isLayer);
  if (first === undefined || !isSameShape(a.shape, b.shape)) return sum;
  sum.fusionStage = new ImageStage((first.order > second.order ? first : second).weight, true);
  return sum;
}

/** ReLU of x, if that is the end of a chain, which is run; otherwise BatchNorm of its layer will be deferred. */
export function endByRelu(relu: Defined, x: Tensor): Tensor | null {
  if (x.fusionStage instanceof ImageStage) followed.add(x.fusionStage.weight);
  const chain = imageChainAt(x);
  if (chain === null) return null;
  const output = chain.extend(relu, [x], null);
  chain.isRectified = true;
  runDeferred();
  return output;
}

function imageChainAt(x: Tensor): ImageChain | null {
  const chain = chainAt(x);
  return chain instanceof ImageChain ? chain : null;
}

class ImageChain extends Chain {
  /** Whether ReLU ends it. */
  isRectified = false;

  protected override runFused(): ValuesInside | null {
    const [norm, sum] = this.links;
    const [x, weight, bias] = norm.inputs;
    if (!this.isRectified) {
      followed.delete(weight);
      return null;
    }
    const [images, features] = x.shape;
    const [out, mean, invStd] = [allocate(x.size), allocate(features), allocate(features)];
    const addend = this.#addend;
    const call = normCall(norm.inputs, norm.attributes as BatchNormAttributes);
    native.batchNormForward({
      x: x.data,
      norm: call,
      addend: addend?.data ?? null,
      relu: true,
      mean,
      invStd,
      out,
      rows: images,
      features,
      length: x.size / images / features,
    });
    this.end.settle(out);
    const kept = keepNormCall(call, mean);
    const saved = { mean, invStd };
    if (norm.node !== null) norm.node.saved = saved;
    // What the sum keeps is its shape.
    if (addend !== null && sum.node !== null) sum.node.saved = this.end.shape;
    // In the order in which the operations pass their gradients on.
    const inputs = addend === null ? [x, weight, bias] : [addend, x, weight, bias];
    this.fuse(normAddReluOp, inputs, { training: call.train }, saved);
    return (place) => repeatNormCall(kept, x.data, x.shape, place === 0 ? null : (addend?.data ?? null));
  }

  /** What is added to BatchNorm's output, if anything is. */
  get #addend(): Tensor | null {
    const [norm, sum] = this.links;
    if (this.length < 3) return null;
    return sum.inputs[0] === norm.output ? sum.inputs[1] : sum.inputs[0];
  }
}

/** The gradients of relu(batchNorm(x) + addend) for inputs addend, if there is one, x, weight and bias. */
const normAddReluOp: Op<{ training: boolean }, NormSaved> = {
  name: "batchNormAddReluBackward",
  forward() {
    throw new DistilleryError("INTERNAL", "batchNormAddReluBackward: is made of the calls of a chain");
  },
  backward(grad, into, { inputs, attributes, output, saved }) {
    const [intoX, intoWeight, intoBias] = into.slice(-3);
    const [x, weight, bias] = inputs.slice(-3);
    const [images, features] = x.shape;
    native.batchNormBackward({
      grad,
      y: output,
      // Null says that nothing was added: then the output's sign is computed again from x alone.
      gradAddend: into.length > 3 ? (into[0] ?? allocate(x.size)) : null,
      saved: { x: x.data, mean: saved.mean, invStd: saved.invStd, train: attributes.training },
      weight: weight.data,
      bias: bias.data,
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
