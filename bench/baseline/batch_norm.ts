/** A batch normalisation layer with memory for one batch's statistics; every array is [features]. */
export interface BatchNormLayer {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  /** Moved by {@link batchNormTrain}. */
  readonly runningMean: Float32Array;
  /** Moved by {@link batchNormTrain}; unbiased. */
  readonly runningVar: Float32Array;
  readonly mean: Float64Array;
  readonly variance: Float64Array;
}

const EPS = 1e-5;
const MOMENTUM = 0.1;

/** A layer on its state's arrays, which it keeps. */
export function batchNormLayer(
  weight: Float32Array,
  bias: Float32Array,
  runningMean: Float32Array,
  runningVar: Float32Array,
): BatchNormLayer {
  const features = weight.length;
  return {
    weight,
    bias,
    runningMean,
    runningVar,
    mean: new Float64Array(features),
    variance: new Float64Array(features),
  };
}

/** Normalises x [rows, features] by its own statistics into `out`, then ReLU; moves the running statistics. */
export function batchNormTrain(layer: BatchNormLayer, x: Float32Array, out: Float32Array, rows: number): void {
  batchStatistics(layer, x, rows);
  moveRunning(layer, rows);
  const { weight, bias, mean, variance } = layer;
  const features = weight.length;
  // From here on `variance` holds the factor and `mean` the offset: one multiplication and one addition an element.
  for (let j = 0; j < features; j++) {
    variance[j] = weight[j] / Math.sqrt(variance[j] + EPS);
    mean[j] = bias[j] - mean[j] * variance[j];
  }
  for (let i = 0; i < rows; i++) {
    const at = i * features;
    for (let j = 0; j < features; j++) {
      const y = x[at + j] * variance[j] + mean[j];
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
