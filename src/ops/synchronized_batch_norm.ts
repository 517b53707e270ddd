import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { Barrier } from "../tensor/barrier.js";
import { allocate } from "../tensor/buffer_pool.js";
import { meet } from "../tensor/replay.js";
import { numel } from "../tensor/shape.js";
import { Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";

/** What BatchNorm needs beside its input, each of shape [features]. */
export interface BatchNormState {
  weight: Tensor;
  bias: Tensor;
  /** The running mean: updated in train mode, used in eval mode. */
  runningMean: Tensor;
  /** The running unbiased variance, likewise. */
  runningVar: Tensor;
}

interface Attributes {
  /** Elements of a feature in all shards. */
  readonly count: number;
  readonly eps: number;
}

interface Saved {
  readonly mean: Float32Array;
  readonly invStd: Float32Array;
  /** Of the shard alone, as if the statistics did not depend on x. */
  own: { readonly x: Float32Array; readonly weight: Float32Array; readonly bias: Float32Array; sums: Barrier } | null;
}

/** Inputs x [rows, features, ...], weight, bias, and the mean and variance of all shards. */
const synchronizedBatchNormOp = defineOp<Attributes, Saved>({
  name: "synchronizedBatchNorm",
  forward([x, weight, bias, mean, variance], { eps }) {
    const [out, taken, invStd] = [allocate(x.size), allocate(mean.size), allocate(mean.size)];
    normalize(x, { weight: weight.data, bias: bias.data, mean: mean.data, variance: variance.data, eps }, [
      out,
      taken,
      invStd,
    ]);
    return { data: out, shape: x.shape, saved: { mean: taken, invStd, own: null } };
  },
  barrier(grad, { inputs: [x, weight, bias], saved }) {
    const [rows, features] = x.shape;
    const own = { x: allocate(x.size), weight: allocate(features), bias: allocate(features) };
    native.batchNormBackward({
      grad,
      y: null,
      gradAddend: null,
      saved: { x: x.data, mean: saved.mean, invStd: saved.invStd, train: false },
      weight: weight.data,
      bias: bias.data,
      gradients: own,
      rows,
      features,
      length: numel(x.shape.slice(2)),
    });
    const sums = new Barrier(Float64Array.of(...own.weight, ...own.bias), added);
    saved.own = { ...own, sums };
    return sums;
  },
  backward(_, [gradX, gradWeight, gradBias], { inputs: [x, weight, , mean, variance], attributes, saved }) {
    const { own, invStd } = saved;
    const sums = own?.sums.all;
    if (own === null || !sums) throw new DistilleryError("INTERNAL", "synchronizedBatchNorm: its barrier was not met");
    gradWeight?.set(own.weight);
    gradBias?.set(own.bias);
    if (gradX === null) return;
    // What x moves by the statistics: -weight / std / count * (sum of the gradients + x normalised * sum of their
    // products with it).
    const features = invStd.length;
    const factor = (f: number) => (-weight.data[f] * invStd[f]) / attributes.count;
    const scale = invStd.map((_, f) => factor(f) * sums[f]);
    const shift = invStd.map((_, f) => factor(f) * sums[features + f]);
    const norm = { weight: scale, bias: shift, mean: mean.data, variance: variance.data, eps: attributes.eps };
    normalize(x, norm, [gradX, allocate(features), allocate(features)]);
    native.accumulate(own.x, gradX);
  },
});

/**
 * Normalises x, the shard's part of a batch, by the mean and the variance of all shards together, as
 * `torch.nn.SyncBatchNorm`; the gradient of x goes through both. The bits depend on the shards, not on who computes
 * which.
 */
export function batchNormOverShards(
  x: Tensor,
  { weight, bias, runningMean, runningVar }: BatchNormState,
  { momentum, eps }: { momentum: number; eps: number },
): Tensor {
  const [rows, features] = x.shape;
  const length = numel(x.shape.slice(2));
  const [count, ...moments] = meet(() => {
    const own = native.batchMoments(x.data, rows, features, length);
    return new Barrier(Float64Array.of(rows * length, ...own), combined);
  });
  if (count < 2) {
    throw new DistilleryError("BATCH_TOO_SMALL", `batchNorm: a batch of ${count} has no variance in train mode`);
  }
  const mean = moments.slice(0, features);
  const variance = moments.slice(features).map((squares) => squares / count);
  const move = ({ data }: Tensor, f: number, to: number) => {
    data[f] = (1 - momentum) * data[f] + momentum * to;
  };
  for (let f = 0; f < features; f++) {
    move(runningMean, f, mean[f]);
    move(runningVar, f, variance[f] * (count / (count - 1)));
  }
  const statistics = [mean, variance].map((values) => new Tensor(Float32Array.from(values)));
  return synchronizedBatchNormOp([x, weight, bias, ...statistics], { count, eps });
}

/** The count, means and sums of squared distances of two shards together (Chan, Golub and LeVeque, 1983). */
function combined(left: Float64Array, right: Float64Array): Float64Array {
  const features = (left.length - 1) / 2;
  const count = left[0] + right[0];
  const all = new Float64Array(left.length);
  all[0] = count;
  for (let f = 0; f < features; f++) {
    const [mean, squares] = [1 + f, 1 + features + f];
    const distance = right[mean] - left[mean];
    all[mean] = left[mean] + (distance * right[0]) / count;
    all[squares] = left[squares] + right[squares] + (distance * distance * left[0] * right[0]) / count;
  }
  return all;
}

function added(left: Float64Array, right: Float64Array): Float64Array {
  return left.map((value, i) => value + right[i]);
}

interface Norm {
  weight: Float32Array;
  bias: Float32Array;
  mean: Float32Array;
  variance: Float32Array;
  eps: number;
}

/** Normalises by given statistics; `into` are the output, the mean and 1 / std. */
function normalize(x: Tensor, norm: Norm, into: readonly [Float32Array, Float32Array, Float32Array]): void {
  const { weight, bias, mean: runningMean, variance: runningVar, eps } = norm;
  const [out, mean, invStd] = into;
  const [rows, features] = x.shape;
  native.batchNormForward({
    x: x.data,
    norm: { weight, bias, runningMean, runningVar, train: false, eps, momentum: 0 },
    addend: null,
    relu: false,
    mean,
    invStd,
    out,
    rows,
    features,
    length: numel(x.shape.slice(2)),
  });
}
