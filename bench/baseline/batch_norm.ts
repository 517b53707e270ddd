/** A batch normalisation layer with memory for one batch's statistics; every array is [features]. */
export interface BatchNormLayer {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  /** Moved by {@link batchNormTrain}. */
  readonly runningMean: Float32Array;
  /** Moved by {@link batchNormTrain}; unbiased. */
  readonly runningVar: Float32Array;
  /** The last batch's, in train mode. */
  readonly mean: Float64Array;
  /** The last batch's, in train mode; biased. */
  readonly variance: Float64Array;
  /** Scratch: what each column is multiplied by, and what is added then. */
  readonly factor: Float64Array;
  readonly offset: Float64Array;
}

export const EPS = 1e-5;
const MOMENTUM = 0.1;

/** A layer on its state's arrays, which it keeps. */
export function batchNormLayer(
  weight: Float32Array,
  bias: Float32Array,
  runningMean: Float32Array,
  runningVar: Float32Array,
): BatchNormLayer {
  const features = weight.length;
  const [mean, variance] = [new Float64Array(features), new Float64Array(features)];
  const [factor, offset] = [new Float64Array(features), new Float64Array(features)];
  return { weight, bias, runningMean, runningVar, mean, variance, factor, offset };
}

/** Normalises x [rows, features] by its own statistics into `out`, then ReLU; moves the running statistics. */
export function batchNormTrain(layer: BatchNormLayer, x: Float32Array, out: Float32Array, rows: number): void {
  batchStatistics(layer, x, rows);
  moveRunning(layer, rows);
  normalise(layer, layer.mean, layer.variance, x, out, rows);
}

/** Normalises x [rows, features] by the running statistics into `out`, then ReLU. */
export function batchNormEval(layer: BatchNormLayer, x: Float32Array, out: Float32Array, rows: number): void {
  normalise(layer, layer.runningMean, layer.runningVar, x, out, rows);
}

/** One multiplication and one addition an element. */
function normalise(
  { weight, bias, factor, offset }: BatchNormLayer,
  mean: Float32Array | Float64Array,
  variance: Float32Array | Float64Array,
  x: Float32Array,
  out: Float32Array,
  rows: number,
): void {
  const features = weight.length;
  for (let j = 0; j < features; j++) {
    factor[j] = weight[j] / Math.sqrt(variance[j] + EPS);
    offset[j] = bias[j] - mean[j] * factor[j];
  }
  for (let i = 0; i < rows; i++) {
    const at = i * features;
    for (let j = 0; j < features; j++) {
      const y = x[at + j] * factor[j] + offset[j];
      out[at + j] = Math.max(y, 0);
    }
  }
}

/** The mean and the biased variance of each column, in two passes along the rows. */
function batchStatistics({ mean, variance }: BatchNormLayer, x: Float32Array, rows: number): void {
  const features = mean.length;
  mean.fill(0);
  variance.fill(0);
  for (let i = 0; i < rows; i++) {
    const at = i * features;
    for (let j = 0; j < features; j++) mean[j] += x[at + j];
  }
  for (let j = 0; j < features; j++) mean[j] /= rows;
  for (let i = 0; i < rows; i++) {
    const at = i * features;
    for (let j = 0; j < features; j++) {
      const distance = x[at + j] - mean[j];
      variance[j] += distance * distance;
    }
  }
  for (let j = 0; j < features; j++) variance[j] /= rows;
}

function moveRunning({ runningMean, runningVar, mean, variance }: BatchNormLayer, rows: number): void {
  const unbiased = rows / (rows - 1);
  for (let j = 0; j < mean.length; j++) {
    runningMean[j] += MOMENTUM * (mean[j] - runningMean[j]);
    runningVar[j] += MOMENTUM * (variance[j] * unbiased - runningVar[j]);
  }
}

/** The outputs of {@link batchNormBackward} and its scratch memory; every array is [features]. */
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
