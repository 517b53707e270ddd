import {
  argumentError,
  expectAtLeast0,
  expectFlags,
  expectFraction,
  expectObject,
  expectOptions,
  expectShape,
} from "../checks.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import type { JsFunction } from "../tensor/js_form.js";
import { float } from "../tensor/onnx_node.js";
import { isReplaying } from "../tensor/replay.js";
import { numel } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";
import { deferNorm, rememberImageNorm } from "./image_fusion.js";
import { extendByNorm, rememberNorm } from "./linear_fusion.js";
import { type BatchNormAttributes, type NormSaved, normCall } from "./norm_call.js";
import { type BatchNormState, batchNormOverShards } from "./synchronized_batch_norm.js";

const BATCH_NORM: JsFunction = {
  name: "batchNorm",
  source: `
/** (x - mean) / sqrt(variance + eps) * weight + bias of x [rows, features, length], by feature. */
function batchNorm(x, weight, bias, mean, variance, eps, length) {
  const y = new Float32Array(x.length);
  for (let i = 0; i < x.length; i++) {
    const f = Math.floor(i / length) % weight.length;
    y[i] = ((x[i] - mean[f]) / Math.sqrt(variance[f] + eps)) * weight[f] + bias[f];
  }
  return y;
}`,
};

/** Inputs x [rows, features, ...], weight, bias, running mean and running variance. */
const batchNormOp = defineOp<BatchNormAttributes, NormSaved>({
  name: "batchNorm",
  forward(inputs, attributes) {
    const [x] = inputs;
    const [rows, features] = x.shape;
    const [data, mean, invStd] = [allocate(x.size), allocate(features), allocate(features)];
    native.batchNormForward({
      x: x.data,
      norm: normCall(inputs, attributes),
      addend: null,
      relu: false,
      mean,
      invStd,
      out: data,
      rows,
      features,
      length: numel(x.shape.slice(2)),
    });
    return { data, shape: x.shape, saved: { mean, invStd } };
  },
  backward(grad, [gradX, gradWeight, gradBias], { inputs: [x, weight, bias], attributes, saved }) {
    const [rows, features] = x.shape;
    native.batchNormBackward({
      grad,
      y: null,
      gradAddend: null,
      saved: { x: x.data, mean: saved.mean, invStd: saved.invStd, train: attributes.training },
      weight: weight.data,
      bias: bias.data,
      gradients: {
        x: gradX ?? allocate(x.size),
        weight: gradWeight ?? allocate(features),
        bias: gradBias ?? allocate(features),
      },
      rows,
      features,
      length: numel(x.shape.slice(2)),
    });
  },
  onnx({ inputs, attributes: { training, eps } }, builder) {
    if (training) throw builder.refusal("batchNorm with training: true mixes the rows of a batch");
    return { type: "BatchNormalization", inputs, attributes: [float("epsilon", eps)] };
  },
  lower: (attributes) => ({ kind: "batchNorm", ...attributes }),
  js({ inputs, attributes: { training, eps }, shape }, { call, refusal }) {
    if (training) throw refusal("batchNorm with training: true mixes the rows of a batch");
    return call(BATCH_NORM, ...inputs, eps, numel(shape.slice(2)));
  },
});

/**
 * Normalises each column of x [rows, features], or each channel of x [rows, features, ...], and applies weight and
 * bias: in train mode by the batch's own mean and biased variance, moving the running ones by `momentum`; in eval mode
 * by the running ones. `torch.nn.functional.batch_norm`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH` if x and the state do not fit, `BATCH_TOO_SMALL` for one value
 * per channel in train mode.
 * @example
 * ```ts
 * const state = { weight: ones([3]), bias: zeros([3]), runningMean: zeros([3]), runningVar: ones([3]) };
 * const normalised = F.batchNorm(randn([8, 3]), state, { training: true, momentum: 0.1, eps: 1e-5 });
 * ```
 */
export function batchNorm(
  x: Tensor,
  state: BatchNormState,
  options: { training: boolean; momentum: number; eps: number },
): Tensor {
  expectTensor("batchNorm: x", x);
  expectOptions("batchNorm", options, ["training", "momentum", "eps"]);
  expectObject("batchNorm: state", state);
  const { weight, bias, runningMean, runningVar } = state;
  expectTensor("batchNorm: weight", weight);
  const features = weight.size;
  if (x.shape[1] !== features) expectShape("batchNorm: x", x.shape, [-1, features, ...x.shape.slice(2)]);
  expectVector("batchNorm: weight", weight, features);
  expectVector("batchNorm: bias", bias, features);
  expectVector("batchNorm: runningMean", runningMean, features);
  expectVector("batchNorm: runningVar", runningVar, features);
  const { training, momentum, eps } = options;
  expectFlags({ training });
  expectNormNumbers({ momentum, eps });
  if (training && isReplaying()) return batchNormOverShards(x, state, { momentum, eps });
  const inputs = [x, weight, bias, runningMean, runningVar];
  const attributes = { training, momentum, eps };
  const deferred = extendByNorm(batchNormOp, inputs, attributes) ?? deferNorm(batchNormOp, inputs, attributes);
  return deferred ?? rememberImageNorm(rememberNorm(batchNormOp(inputs, attributes), x), weight);
}

/** Refuses a momentum or an eps that is out of range. */
export function expectNormNumbers({ momentum, eps }: { momentum: number; eps: number }): void {
  expectAtLeast0("eps", eps);
  if (momentum === null) {
    const text = "expected a number from 0 to 1, got null: PyTorch's cumulative average is not supported";
    throw argumentError("momentum", text);
  }
  expectFraction("momentum", momentum);
}

function expectVector(name: string, x: unknown, features: number): void {
  expectTensor(name, x);
  // In the path of each step: nothing is made unless it is refused.
  if (x.shape.length !== 1 || x.shape[0] !== features) expectShape(name, x.shape, [features]);
}
