export {
  type BatchNormState,
  batchNorm,
  dropout,
  linear,
  logSoftmax,
  relu,
  softmax,
} from "../ops/index.js";
