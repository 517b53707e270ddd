import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { allocate, allocateBytes, isInArena } from "../tensor/buffer_pool.js";
import { runDeferred } from "../tensor/deferred.js";
import type { Defined, Op } from "../tensor/op.js";
import { currentGenerator } from "../tensor/random.js";
import { isReplaying } from "../tensor/replay.js";
import type { Tensor } from "../tensor/tensor.js";
import { isTracing } from "../tensor/tracer.js";
import { Chain, chainAt, type ValuesInside } from "./chain.js";
import { type BatchNormAttributes, keepNormCall, type NormSaved, normCall, repeatNormCall } from "./norm_call.js";

/**
 * If any module calls Linear, BatchNorm, ReLU and dropout one after another, they run as one kernel, and so does the
 * chain without dropout; the mask is drawn while the product is computed.
 *
 * The product is deferred, and later calls extend the chain if they read its end. Dropout runs it.
 *
 * A chain ends where the last one with the same weight ended: a product is deferred only if BatchNorm and ReLU followed
 * the last one, and the ReLU only if dropout did in the same mode. Calls are deferred only in an arena, such as that of
 * a step: elsewhere the caller may overwrite the array of its inputs, or of its weights, as soon as a layer has
 * returned.
 */
const followed = new WeakSet<Tensor>();
/** The weights whose chain went on from ReLU to dropout, with BatchNorm in train mode and in eval mode. */
const dropped = { train: new WeakSet<Tensor>(), eval: new WeakSet<Tensor>() };

/** Where a tensor stands that may be the beginning of a chain, or its end: set as {@link Tensor.fusionStage}. */
class LinearStage {
  constructor(
    readonly weight: Tensor,
    /** The product, BatchNorm of it, or ReLU of that in either mode. */
    readonly reached: "product" | "norm" | Mode,
  ) {}
}
type Mode = "train" | "eval";

/** The attributes of a linear layer's product. */
export interface LinearAttributes {
  readonly relu: boolean;
  /** Whether its operands are rounded to bfloat16, in its backward pass too. */
  readonly bfloat16?: boolean;
}

/** What the backward pass of a fused chain needs. */
interface Saved extends NormSaved {
  readonly product: Float32Array;
  readonly mask: Uint8Array | null;
}

/** x weight^T + bias, for inputs x, weight and perhaps bias, deferred; null if it is to be computed at once. */
export function deferLinear(linear: Defined, inputs: readonly Tensor[], attributes: LinearAttributes): Tensor | null {
  // The input may be the end of another chain, or a chain of this weight end here.
  runDeferred();
  if (!isInArena() || isTracing() || isReplaying() || !followed.has(inputs[1])) return null;
  return new LinearChain(linear, inputs, attributes, [inputs[0].shape[0], inputs[1].shape[0]]).start();
}

/** Remembers the weight of a product that was computed at once. */
export function rememberProduct(product: Tensor, weight: Tensor): Tensor {
  product.fusionStage = new LinearStage(weight, "product");
  return product;
}

/** Remembers the weight of x's product, if there is one, for BatchNorm's output that was computed at once. */
export function rememberNorm(output: Tensor, x: Tensor): Tensor {
  const weight = weightAt(x, "product");
  if (weight !== null) output.fusionStage = new LinearStage(weight, "norm");
  return output;
}

/** BatchNorm, for inputs x, weight, bias and running statistics, if x is the end of a chain; else null. */
export function extendByNorm(norm: Defined, inputs: readonly Tensor[], attributes: BatchNormAttributes): Tensor | null {
  const [x] = inputs;
  const chain = linearChainAt(x);
  // The kernel refuses a batch of one.
  if (chain?.length !== 1 || (attributes.training && x.shape[0] < 2)) return null;
  return chain.extend(norm, inputs, attributes);
}

/** ReLU of x, if that is the end of a chain with BatchNorm; otherwise a product of its weight will be deferred. */
export function extendByRelu(relu: Defined, x: Tensor): Tensor | null {
  const weight = weightAt(x, "norm");
  if (weight !== null) followed.add(weight);
  const chain = linearChainAt(x);
  if (chain?.length !== 2) return null;
  const output = chain.extend(relu, [x], null);
  if (!dropped[chain.mode].has(chain.weight)) runDeferred();
  return output;
}

/** Dropout of x, if that is the end of a chain with BatchNorm and ReLU, which is run; else null. */
export function extendByDropout(dropout: Defined, x: Tensor, p: number): Tensor | null {
  const chain = dropoutChain(x);
  if (chain === null) return null;
  const output = chain.extend(dropout, [x], { p });
  runDeferred();
  return output;
}

/** Dropout of x that drops nothing: ends the chain as another dropout does. */
export function endByDropout(x: Tensor): void {
  if (dropoutChain(x) !== null) runDeferred();
}

/** The chain with BatchNorm and ReLU that ends with x; otherwise one of its weight will be deferred until dropout. */
function dropoutChain(x: Tensor): LinearChain | null {
  const stage = x.fusionStage;
  if (stage instanceof LinearStage && (stage.reached === "train" || stage.reached === "eval")) {
    dropped[stage.reached].add(stage.weight);
  }
  const chain = linearChainAt(x);
  if (chain?.length !== 3) return null;
  chain.isDropped = true;
  return chain;
}

function linearChainAt(x: Tensor): LinearChain | null {
  const chain = chainAt(x);
  return chain instanceof LinearChain ? chain : null;
}

/** The weight of the chain whose stage x reached, if it did. */
function weightAt({ fusionStage }: Tensor, reached: LinearStage["reached"]): Tensor | null {
  return fusionStage instanceof LinearStage && fusionStage.reached === reached ? fusionStage.weight : null;
}

class LinearChain extends Chain {
  isDropped = false;

  get weight(): Tensor {
    return this.links[0].inputs[1];
  }

  /** The mode of its BatchNorm. */
  get mode(): Mode {
    return (this.links[1].attributes as BatchNormAttributes).training ? "train" : "eval";
  }

  protected override runFused(): ValuesInside | null {
    const [linear, norm, relu, dropout] = this.links;
    if (relu === undefined) {
      followed.delete(this.weight);
      return null;
    }
    if (!this.isDropped) dropped[this.mode].delete(this.weight);
    const [x, weight, bias] = linear.inputs;
    const [, scale, shift] = norm.inputs;
    const { bfloat16 = false } = linear.attributes as LinearAttributes;
    const { p } = dropout === undefined ? { p: 0 } : (dropout.attributes as { p: number });
    const [rows, inputs] = x.shape;
    const features = weight.shape[0];
    const product = allocate(rows * features);
    const out = allocate(rows * features);
    const mean = allocate(features);
    const invStd = allocate(features);
    const mask = p > 0 ? allocateBytes(rows * features) : null;
    const call = normCall(norm.inputs, norm.attributes as BatchNormAttributes);
    native.linearNormReluDropoutForward({
      linear: { x: x.data, weight: weight.data, bias: bias === undefined ? null : bias.data, bfloat16 },
      norm: call,
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
    if (!this.isDropped) this.end.fusionStage = new LinearStage(weight, this.mode);
    const kept = keepNormCall(call, mean);
    if (norm.node !== null) norm.node.saved = { mean, invStd };
    if (dropout !== undefined && dropout.node !== null) dropout.node.saved = mask;
    const sources = [x, weight, scale, shift];
    if (bias !== undefined) sources.push(bias);
    const attributes = { training: call.train, p, ...(bfloat16 && { bfloat16 }) };
    this.fuse(fusedOp, sources, attributes, { product, mean, invStd, mask });
    return (place) => {
      if (place === 0) return product;
      if (place === 1) return repeatNormCall(kept, product, linear.output.shape);
      const data = new Float32Array(product.length);
      native.reluForward(norm.output.data, data);
      return data;
    };
  }
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
