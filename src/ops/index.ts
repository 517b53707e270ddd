/** The operations. To add one, write its file and its line here. */
export { type ScaledDotProductAttentionOptions, scaledDotProductAttention } from "./attention.js";
export { batchNorm } from "./batch_norm.js";
export { add, div, maximum, minimum, mul, pow, sub } from "./binary.js";
export { binaryCrossEntropy } from "./binary_cross_entropy.js";
export { cat, split, stack } from "./cat.js";
export { eq, ge, gt, le, lt, ne, where } from "./compare.js";
export { type Conv2dOptions, conv2d, type Padding, type Pair } from "./conv2d.js";
export { type CosineEmbeddingLossOptions, cosineEmbeddingLoss } from "./cosine_embedding_loss.js";
export { type CrossEntropyOptions, crossEntropy } from "./cross_entropy.js";
export { cumsum } from "./cumsum.js";
export { detach } from "./detach.js";
export { dropout } from "./dropout.js";
export { embedding } from "./embedding.js";
export { type EmbeddingBagOptions, embeddingBag } from "./embedding_bag.js";
export { expand } from "./expand.js";
export { gather, indexSelect, oneHot, scatter } from "./indexing.js";
export { layerNorm } from "./layer_norm.js";
export { linear } from "./linear.js";
export { logsumexp } from "./logsumexp.js";
export {
  binaryCrossEntropyWithLogits,
  huberLoss,
  klDiv,
  l1Loss,
  mseLoss,
  type NllLossOptions,
  nllLoss,
  type Reduction,
  smoothL1Loss,
} from "./losses.js";
export { bmm, matmul, outer } from "./matmul.js";
export { argmax, argmin, max, min, type ValuesAndIndices } from "./max.js";
export { permute, transpose } from "./permute.js";
export { adaptiveAvgPool2d, avgPool2d, maxPool2d } from "./pool.js";
export type { AdaptiveSize, AvgPool2dOptions, MaxPool2dOptions } from "./pool_windows.js";
export { relu } from "./relu.js";
export { reshape } from "./reshape.js";
export { cosineSimilarity, normalize } from "./similarity.js";
export { type SliceOptions, slice } from "./slice.js";
export { logSoftmax, softmax } from "./softmax.js";
export { softplus } from "./softplus.js";
export { flatten, squeeze, unsqueeze } from "./squeeze.js";
export { norm, std, type VarianceOptions, variance as var } from "./statistics.js";
export { mean, sum } from "./sum.js";
export type { BatchNormState } from "./synchronized_batch_norm.js";
export { topk } from "./topk.js";
export { type TripletMarginLossOptions, tripletMarginLoss } from "./triplet_margin_loss.js";
export {
  abs,
  clamp,
  exp,
  gelu,
  hardswish,
  leakyRelu,
  log,
  log1p,
  logSigmoid,
  neg,
  rsqrt,
  sigmoid,
  silu,
  sqrt,
  tanh,
} from "./unary.js";
