export {
  type CheckpointDict,
  type CheckpointSummary,
  type CheckpointValue,
  decodeSafetensors,
  encodeSafetensors,
  inspectCheckpoint,
  type LoadCheckpointOptions,
  type LoadNetworkOptions,
  type LoadOptions,
  load,
  loadCheckpoint,
  loadNetwork,
  type ReadOptions,
  readPreprocessing,
  type Safetensors,
  type SaveOptions,
  type StoredDtype,
  save,
  saveCheckpoint,
} from "./checkpoint/index.js";
export * from "./compare/index.js";
export {
  type CompareConfig,
  type ConfigName,
  type ConfigOf,
  type DistillConfig,
  defineConfig,
  distillationOptions,
  type MutualConfig,
  type ResolvedConfig,
  readConfig,
  type SweepConfig,
  type TrainTeacherConfig,
  trainingOptions,
} from "./config/index.js";
export * from "./data/index.js";
export { DistilleryError, type ErrorCode } from "./errors.js";
export {
  exportJs,
  exportOnnx,
  type GraphOptions,
  type HtmlSummary,
  type JsModule,
  type JsOptions,
  type JsSummary,
  type OnnxOptions,
  type OnnxSummary,
  type OnnxValue,
  saveHtml,
  saveJs,
  saveOnnx,
} from "./export/index.js";
export {
  csvLog,
  DEFAULT_LOG_FILE,
  type EpochRecord,
  flattenRecord,
  formatEpoch,
  type Metrics,
  type MetricsLog,
  tensorBoardLog,
  type WorkProgress,
  withLogFile,
} from "./log/index.js";
export * from "./losses/index.js";
export { createNetwork, type NetworkOfState, networkFrom } from "./models/create_network.js";
export * from "./models/index.js";
/** `torch.nn.functional`, in camel case. */
export * as F from "./nn/functional.js";
export * from "./nn/index.js";
/** Initial values: `torch.nn.init`, in camel case and without the underscore. */
export * as init from "./nn/init.js";
export { Module, type ModuleBuffer } from "./nn/module.js";
export type { StateDict } from "./nn/state_dict.js";
export { type CustomFunction, defineFunction, type FunctionContext } from "./ops/define_function.js";
export { defineOp, type OpFunction } from "./ops/define_op.js";
export {
  type AdaptiveSize,
  type AvgPool2dOptions,
  argmax,
  argmin,
  bmm,
  type Conv2dOptions,
  type CosineEmbeddingLossOptions,
  type CrossEntropyOptions,
  cat,
  crossEntropy,
  logsumexp,
  type MaxPool2dOptions,
  matmul,
  maximum,
  minimum,
  type NllLossOptions,
  outer,
  type Padding,
  type Pair,
  type Reduction,
  type ScaledDotProductAttentionOptions,
  type SliceOptions,
  split,
  stack,
  type TripletMarginLossOptions,
  topk,
  type ValuesAndIndices,
  type VarianceOptions,
  where,
} from "./ops/index.js";
export * from "./optim/index.js";
export {
  type Entry,
  type Expression,
  formatExpression,
  importModules,
  type OptionSchemas,
  parseExpression,
  type Registry,
  type ResolveOptions,
  type StructuredTerm,
  type Term,
  type UserModules,
  type Weight,
} from "./registry/index.js";
export * from "./report/index.js";
export {
  distill,
  type ReportedDistillInput as DistillInput,
  type ReportedTrainTeacherInput as TrainTeacherInput,
  trainTeacher,
} from "./report/runs.js";
export { type ServedNetwork, type ServeOptions, serveNetwork } from "./serve/index.js";
export * from "./teachers/index.js";
export { noGrad } from "./tensor/autograd.js";
export { IntTensor, type Labels, LongTensor } from "./tensor/int_tensor.js";
export type { JsBuilder, JsFunction, JsStep } from "./tensor/js_form.js";
export type { OnnxAttribute, OnnxBuilder, OnnxNode, OnnxStep } from "./tensor/onnx_node.js";
export type { Call, Defined, LoweredNode, Op, Result } from "./tensor/op.js";
export { bfloat16Unit, type Precision, withPrecision } from "./tensor/precision.js";
export { Generator, manualSeed, rand, randint, randn, randperm, withGenerator } from "./tensor/random.js";
export { step } from "./tensor/step.js";
export { type Nested, ones, Parameter, Tensor, tensor, zeros } from "./tensor/tensor.js";
export { getNumThreads, setNumThreads } from "./threads.js";
export * from "./train/index.js";
