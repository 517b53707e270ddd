/** The layers. To add one, write its file and its line here. */
export { GELU, Hardswish, LeakyReLU, LogSoftmax, ReLU6, Sigmoid, SiLU, Softmax, Tanh } from "./activations.js";
export { BatchNorm1d, BatchNorm2d } from "./batch_norm.js";
export { Conv1d, type Conv1dOptions, Conv2d, type ConvOptions } from "./conv.js";
export { Embedding, EmbeddingBag, type EmbeddingOptions } from "./embedding.js";
export { GroupNorm } from "./group_norm.js";
export { LayerNorm, type LayerNormOptions } from "./layer_norm.js";
export { Dropout, Dropout2d, Flatten, Identity, ReLU, Sequential } from "./layers.js";
export { Linear } from "./linear.js";
export { MultiheadAttention, type MultiheadAttentionOptions } from "./multihead_attention.js";
export { AdaptiveAvgPool2d, AvgPool2d, MaxPool2d } from "./pooling.js";
export { AvgPool1d, type AvgPool1dOptions, MaxPool1d, type MaxPool1dOptions } from "./pooling_1d.js";
export { TransformerEncoder } from "./transformer_encoder.js";
export { TransformerEncoderLayer, type TransformerEncoderLayerOptions } from "./transformer_encoder_layer.js";
export { Upsample, type UpsampleOptions } from "./upsample.js";
