import { type BatchNormLayer, EPS } from "./batch_norm.js";

/** Where {@link batchNormBackward} writes, and its scratch memory; every array is [features]. */
export interface BatchNormGradients {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  /** Sums over the rows, then what grad and x are multiplied by and what is added. */
  readonly scratch: { grad: Float64Array; x: Float64Array; offset: Float64Array };
}

/** Memory for a layer's gradients. */
export function batchNormGradients({ weight: { length } }: BatchNormLayer): BatchNormGradients {
  const doubles = () => new Float64Array(length);
  return {
    weight: new Float32Array(length),
    bias: new Float32Array(length),
    scratch: { grad: doubles(), x: doubles(), offset: doubles() },
  };
}

/**
 * The gradients of weight and bias into `grads` and of the input into `gradX` [rows, features], from `grad` of the
 * normalised batch (before ReLU) and the input x of the last `batchNormTrain`; `gradX` may be `grad`.
 */
export function batchNormBackward(
  layer: BatchNormLayer,
  grads: BatchNormGradients,
  x: Float32Array,
  grad: Float32Array,
  gradX: Float32Array,
  rows: number,
): void {
  sumColumns(layer, grads, x, grad, rows);
  finishColumns(layer, grads, rows);
  const { scratch } = grads;
  const features = layer.weight.length;
  for (let i = 0; i < rows; i++) {
    const at = i * features;
    for (let j = 0; j < features; j++) {
      gradX[at + j] = grad[at + j] * scratch.grad[j] + x[at + j] * scratch.x[j] + scratch.offset[j];
    }
  }
}

/** Into the scratch memory: the column sums of grad, and of grad (x - mean). */
function sumColumns(
  { mean }: BatchNormLayer,
  { scratch }: BatchNormGradients,
  x: Float32Array,
  grad: Float32Array,
  rows: number,
): void {
  const features = mean.length;
  scratch.grad.fill(0);
  scratch.x.fill(0);
  for (let i = 0; i < rows; i++) {
    const at = i * features;
    for (let j = 0; j < features; j++) {
      scratch.grad[j] += grad[at + j];
      scratch.x[j] += grad[at + j] * (x[at + j] - mean[j]);
    }
  }
}

/** The parameters' gradients from the sums; then, in their place, the three numbers that give a column of gradX. */
function finishColumns({ weight, mean, variance }: BatchNormLayer, grads: BatchNormGradients, rows: number): void {
  const { scratch } = grads;
  for (let j = 0; j < mean.length; j++) {
    const invStd = 1 / Math.sqrt(variance[j] + EPS);
    const [sumGrad, sumGradX] = [scratch.grad[j], scratch.x[j]];
    grads.bias[j] = sumGrad;
    grads.weight[j] = sumGradX * invStd;
    scratch.grad[j] = weight[j] * invStd;
    scratch.x[j] = (-weight[j] * invStd ** 3 * sumGradX) / rows;
    scratch.offset[j] = (-weight[j] * invStd * sumGrad) / rows - scratch.x[j] * mean[j];
  }
}
