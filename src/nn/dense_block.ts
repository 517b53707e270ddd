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
  native.linearNormReluDropoutForward(
    x.data,
    linear.weight.data,
    linear.bias?.data ?? null,
    before,
    norm.weight.data,
    norm.bias.data,
    norm.runningMean.data,
    norm.runningVar.data,
    mean,
    invStd,
    out,
    mask,
    mask && currentGenerator().state,
    rows,
    inputs,
    features,
    norm.training,
    norm.eps,
    norm.momentum,
    p,
  );
  if (norm.training) norm.countBatch();
  const { training } = norm;
  const sources = [x, linear.weight, norm.weight, norm.bias, ...(linear.bias === null ? [] : [linear.bias])];
  return output(out, [rows, features], sources, { kind: "denseBlock" }, (upstream, into) => {
    const [intoX, intoWeight, intoScale, intoShift, intoBias] = into;
    const grad = allocate(rows * features);
    native.normReluDropoutBackward(
      upstream,
      before,
      mean,
      invStd,
      norm.weight.data,
      norm.bias.data,
      mask,
      grad,
      intoScale ?? allocate(features),
      intoShift ?? allocate(features),
      rows,
      features,
      training,
      p,
    );
    native.linearBackward(grad, x.data, linear.weight.data, intoX, intoWeight, intoBias, rows, inputs, features);
  });
}
