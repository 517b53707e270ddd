export { foldBatchNorm } from "./fold_batch_norm.js";
export { FrozenModel } from "./frozen_model.js";
export { fuse } from "./fuse.js";
export {
  type Attributes,
  type Constant,
  constantsOf,
  type Graph,
  type Input,
  type Length,
  lengthFor,
  type Node,
  type Value,
} from "./graph.js";
export { GraphModule } from "./graph_module.js";
export { quantizeWeights, WEIGHT_TYPES, type WeightType } from "./quantize.js";
export { type TraceOptions, traceModule } from "./trace.js";
export { drawsRandomNumbers, UntraceableError } from "./tracer.js";
