import { expectNumber, expectShape } from "../checks.js";
import { native } from "../native.js";
import { allocate, allocateBytes } from "../tensor/memory.js";
import { expectTensor, output } from "../tensor/ops.js";
import { currentGenerator } from "../tensor/random.js";
import type { Tensor } from "../tensor/tensor.js";

export { relu } from "../tensor/ops.js";
export { logSoftmax, softmax } from "../tensor/reductions.js";

/**
 * x [rows, inputs] times weight [outputs, inputs] transposed, plus bias [outputs], then ReLU where asked, in one pass.
 * `torch.nn.functional.linear`.
 *
 * @example
 * ```ts
 * linear(tensor([[1, 2]]), tensor([[3, 4]]), tensor([5])).toArray(); // [[16]]
 * ```
 */
export function linear(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  options: { relu?: boolean } = {},
): Tensor {
  expectTensor("x", x);
  expectTensor("weight", weight);
  expectShape("linear: weight", weight.shape, [-1, -1]);
  const [outputs, inputs] = weight.shape as [number, number];
  expectShape("linear: x", x.shape, [-1, inputs]);
  if (bias !== null) {
    expectTensor("bias", bias);
    expectShape("linear: bias", bias.shape, [outputs]);
  }
  const rows = x.shape[0] as number;
  const rectified = options.relu ?? false;
  const out = allocate(rows * outputs);
  native.linearForward({
    x: x.data,
    weight: weight.data,
    bias: bias?.data ?? null,
    relu: rectified,
    out,
    rows,
    inputs,
    outputs,
  });
  const sources = bias === null ? [x, weight] : [x, weight, bias];
  const operation = { kind: "linear", relu: rectified } as const;
  return output(out, [rows, outputs], sources, operation, (upstream, [gradX, gradWeight, gradBias]) => {
    const grad = rectified ? allocate(upstream.length) : upstream;
    if (rectified) native.reluBackward(upstream, out, grad);
    native.linearBackward({
      grad,
      x: x.data,
      weight: weight.data,
      gradX,
      gradWeight,
      gradBias: gradBias ?? null,
      rows,
      inputs,
      outputs,
    });
  });
}

/**
 * Zeroes each element with chance p and divides the others by 1 - p; gives x itself where not training or p is 0.
 * Draws 64 bits an element, row by row. `torch.nn.functional.dropout`.
 */
export function dropout(x: Tensor, p = 0.5, training = true): Tensor {
  expectTensor("x", x);
  expectNumber("p", p, (p) => p >= 0 && p <= 1, "a chance from 0 to 1");
  if (!training || p === 0) return x;
  const [out, mask] = [allocate(x.size), allocateBytes(x.size)];
  native.dropoutForward(x.data, p, currentGenerator().state, mask, out);
  return output(
    out,
    x.shape,
    [x],
    { kind: "dropout" },
    (grad, [into]) => into && native.dropoutBackward(grad, p, mask, into),
  );
}

/** What {@link batchNorm} needs beside its input, each of shape [features]. */
export interface BatchNormState {
  weight: Tensor;
  bias: Tensor;
  /** Moved in train mode, used in eval mode. */
  runningMean: Tensor;
  /** The same for the unbiased variance. */
  runningVar: Tensor;
}

/**
 * Normalises each column of x [rows, features] and applies weight and bias: in train mode by the batch's own mean and
 * biased variance, moving the running ones by `momentum`; in eval mode by the running ones.
 * `torch.nn.functional.batch_norm`. Throws `BATCH_TOO_SMALL` for a batch of one in train mode.
 */
export function batchNorm(
  x: Tensor,
  state: BatchNormState,
  options: { training: boolean; momentum: number; eps: number },
): Tensor {
  expectTensor("x", x);
  for (const [name, tensor] of Object.entries(state)) expectTensor(name, tensor);
  const { weight, bias, runningMean, runningVar } = state;
  const features = weight.size;
  expectShape("batchNorm: x", x.shape, [-1, features]);
  for (const [name, tensor] of Object.entries(state)) expectShape(`batchNorm: ${name}`, tensor.shape, [features]);
  const rows = x.shape[0] as number;
  const [out, mean, invStd] = [allocate(x.size), allocate(features), allocate(features)];
  const { training, momentum, eps } = options;
  const norm = {
    weight: weight.data,
    bias: bias.data,
    runningMean: runningMean.data,
    runningVar: runningVar.data,
    train: training,
    eps,
    momentum,
  };
  native.batchNormForward({ x: x.data, norm, mean, invStd, out, rows, features });
  const operation = { kind: "batchNorm", runningMean, runningVar, eps, training } as const;
  return output(out, x.shape, [x, weight, bias], operation, (grad, into) => {
    const [gradX, gradWeight, gradBias] = into;
    native.batchNormBackward({
      grad,
      saved: { x: x.data, mean, invStd, train: training },
      weight: weight.data,
      gradients: {
        x: gradX ?? allocate(x.size),
        weight: gradWeight ?? allocate(features),
        bias: gradBias ?? allocate(features),
      },
      rows,
      features,
    });
  });
}
