import { expectShape } from "../checks.js";
import { native } from "../native.js";
import { defineOp } from "../ops/define_op.js";
import { allocate, allocateBytes } from "../tensor/buffer_pool.js";
import { currentGenerator } from "../tensor/random.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { isTracing } from "../tensor/tracer.js";
import type { BatchNorm1d } from "./batch_norm.js";
import type { Dropout } from "./layers.js";
import type { Linear } from "./linear.js";

/** The layers of a {@link denseBlock}. */
export interface DenseLayers {
  linear: Linear;
  norm: BatchNorm1d;
  dropout: Dropout;
}

interface Saved {
  readonly before: Float32Array;
  readonly mean: Float32Array;
  readonly invStd: Float32Array;
  readonly mask: Uint8Array | null;
}

/** Inputs x, weight, scale, shift, and the bias if there is one. */
const fused = defineOp<{ norm: BatchNorm1d; training: boolean; p: number }, Saved>({
  name: "denseBlock",
  forward([x, weight, scale, shift, bias], { norm, training, p }) {
    const [rows, inputs] = x.shape;
    const features = weight.shape[0];
    const before = allocate(rows * features);
    const data = allocate(rows * features);
    const [mean, invStd] = [allocate(features), allocate(features)];
    const mask = p > 0 ? allocateBytes(rows * features) : null;
    native.linearNormReluDropoutForward({
      linear: { x: x.data, weight: weight.data, bias: bias === undefined ? null : bias.data },
      norm: {
        weight: scale.data,
        bias: shift.data,
        runningMean: norm.runningMean.data,
        runningVar: norm.runningVar.data,
        train: training,
        eps: norm.eps,
        momentum: norm.momentum,
      },
      dropout: mask && { p, mask, state: currentGenerator().state },
      linearOut: before,
      mean,
      invStd,
      out: data,
      rows,
      inputs,
      features,
    });
    return { data, shape: [rows, features], saved: { before, mean, invStd, mask } };
  },
  backward(upstream, into, { inputs: [x, weight, scale, shift], attributes: { training, p }, saved }) {
    const [rows, inputs] = x.shape;
    const features = weight.shape[0];
    const [gradX, gradWeight, gradScale, gradShift, gradBias] = into;
    const grad = allocate(rows * features);
    native.normReluDropoutBackward({
      grad: upstream,
      saved: { x: saved.before, mean: saved.mean, invStd: saved.invStd, train: training },
      weight: scale.data,
      bias: shift.data,
      mask: saved.mask,
      p,
      gradients: { x: grad, weight: gradScale ?? allocate(features), bias: gradShift ?? allocate(features) },
      rows,
      features,
    });
    native.linearBackward({
      grad,
      x: x.data,
      weight: weight.data,
      gradX,
      gradWeight,
      gradBias: gradBias ?? null,
      rows,
      inputs,
      outputs: features,
    });
  },
});

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
  // A tracer is to see the layers.
  if (isTracing()) return dropout.forward(norm.forward(linear.forward(x)).relu());
  expectTensor("x", x);
  expectShape("denseBlock: x", x.shape, [-1, linear.inFeatures]);
  expectShape("denseBlock: norm", [norm.numFeatures], [linear.outFeatures]);
  const { training } = norm;
  const sources = [x, linear.weight, norm.weight, norm.bias, ...(linear.bias === null ? [] : [linear.bias])];
  const out = fused(sources, { norm, training, p: dropout.training ? dropout.p : 0 });
  if (training) norm.countBatch();
  return out;
}
