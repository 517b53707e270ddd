/** The layers. To add one, write its file and its line here. */
export { BatchNorm1d } from "./batch_norm.js";
export { LayerNorm, type LayerNormOptions } from "./layer_norm.js";
export { Dropout, ReLU, Sequential } from "./layers.js";
export { Linear } from "./linear.js";
