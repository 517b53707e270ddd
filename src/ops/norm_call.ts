import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import type { Tensor } from "../tensor/tensor.js";

/** How BatchNorm is called. */
export interface BatchNormAttributes {
  readonly training: boolean;
  readonly momentum: number;
  readonly eps: number;
}

/** What BatchNorm keeps for its backward pass. */
export interface NormSaved {
  readonly mean: Float32Array;
  readonly invStd: Float32Array;
}

/** BatchNorm as its kernels take it. */
interface NormCall {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly runningMean: Float32Array;
  readonly runningVar: Float32Array;
  readonly train: boolean;
  readonly eps: number;
  readonly momentum: number;
}

/** The call of BatchNorm for inputs x, weight, bias, running mean and running variance. */
export function normCall(
  [, weight, bias, runningMean, runningVar]: readonly Tensor[],
  { training, momentum, eps }: BatchNormAttributes,
): NormCall {
  return {
    weight: weight.data,
    bias: bias.data,
    runningMean: runningMean.data,
    runningVar: runningVar.data,
    train: training,
    eps,
    momentum,
  };
}

/**
 * A call that was made, with the mean that it subtracted: copies, for an optimizer may step before it is made again.
 */
export function keepNormCall(call: NormCall, mean: Float32Array): NormCall {
  const [weight, bias] = [copyOf(call.weight), copyOf(call.bias)];
  // In train mode the statistics are those of the batch.
  const runningVar = call.train ? call.runningVar : copyOf(call.runningVar);
  return { ...call, weight, bias, runningMean: mean, runningVar };
}

/**
 * The output of a kept call for x [rows, features, ...], plus an addend if there is one; nothing moves. Not from the
 * pool: an arena that is open now may be younger than the call.
 */
export function repeatNormCall(
  call: NormCall,
  x: Float32Array,
  [rows, features]: readonly number[],
  addend: Float32Array | null = null,
): Float32Array {
  const out = new Float32Array(x.length);
  const scratch = () => new Float32Array(features);
  native.batchNormForward({
    x,
    norm: call.train ? { ...call, runningMean: scratch(), runningVar: scratch() } : call,
    addend,
    relu: false,
    mean: scratch(),
    invStd: scratch(),
    out,
    rows,
    features,
    length: x.length / rows / features,
  });
  return out;
}

function copyOf(data: Float32Array): Float32Array {
  const copy = allocate(data.length);
  copy.set(data);
  return copy;
}
