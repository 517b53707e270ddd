import { expectShape } from "../checks.js";
import { native } from "../native.js";
import { allocate, allocateBytes } from "../tensor/memory.js";
import { expectTensor, output } from "../tensor/ops.js";
import { currentGenerator } from "../tensor/random.js";
import type { Tensor } from "../tensor/tensor.js";
import { isListening } from "../tensor/trace.js";
import type { BatchNorm1d } from "./batch_norm.js";
import type { Dropout } from "./layers.js";
import type { Linear } from "./linear.js";

/** The layers of a {@link denseBlock}. */
export interface DenseLayers {
  linear: Linear;
  norm: BatchNorm1d;
  dropout: Dropout;
}

/**
 * dropout(relu(norm(linear(x)))) for x [rows, inputs], each layer in its own mode: the same bits as the four calls, in
 * one pass over memory, with the mask drawn beside the product.
 *
 * @example
 * ```ts
 * const layers = { linear: new Linear(784, 64), norm: new BatchNorm1d(64), dropout: new Dropout(0.3) };
 * denseBlock(randn([16, 784]), layers).shape; // [16, 64]
 * ```
 */
export function denseBlock(x: Tensor, layers: DenseLayers): Tensor {
  const { linear, norm, dropout } = layers;
  // Whoever listens wants to hear of the layers.
  if (isListening()) return dropout.forward(norm.forward(linear.forward(x)).relu());
  expectTensor("x", x);
  const { inFeatures: inputs, outFeatures: features } = linear;
  expectShape("denseBlock: x", x.shape, [-1, inputs]);
  expectShape("denseBlock: norm", [norm.numFeatures], [features]);
  const rows = x.shape[0] as number;
  const p = dropout.training ? dropout.p : 0;
  const before = allocate(rows * features);
  const out = allocate(rows * features);
  const [mean, invStd] = [allocate(features), allocate(features)];
  const mask = p > 0 ? allocateBytes(rows * features) : null;
  native.linearNormReluDropoutForward({
    linear: { x: x.data, weight: linear.weight.data, bias: linear.bias?.data ?? null },
    norm: {
      weight: norm.weight.data,
      bias: norm.bias.data,
      runningMean: norm.runningMean.data,
      runningVar: norm.runningVar.data,
      train: norm.training,
      eps: norm.eps,
      momentum: norm.momentum,
    },
    dropout: mask && { p, mask, state: currentGenerator().state },
    linearOut: before,
    mean,
    invStd,
    out,
    rows,
    inputs,
    features,
  });
  if (norm.training) norm.countBatch();
  const { training } = norm;
  const sources = [x, linear.weight, norm.weight, norm.bias, ...(linear.bias === null ? [] : [linear.bias])];
  return output(out, [rows, features], sources, { kind: "denseBlock" }, (upstream, into) => {
    const [gradX, gradWeight, gradScale, gradShift, gradBias] = into;
    const grad = allocate(rows * features);
    native.normReluDropoutBackward({
      grad: upstream,
      saved: { x: before, mean, invStd, train: training },
      weight: norm.weight.data,
      bias: norm.bias.data,
      mask,
      p,
      gradients: { x: grad, weight: gradScale ?? allocate(features), bias: gradShift ?? allocate(features) },
      rows,
      features,
    });
    native.linearBackward({
      grad,
      x: x.data,
      weight: linear.weight.data,
      gradX,
      gradWeight,
      gradBias: gradBias ?? null,
      rows,
      inputs,
      outputs: features,
    });
  });
}
