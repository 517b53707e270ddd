export {
  type CheckpointSummary,
  decodeSafetensors,
  encodeSafetensors,
  inspectCheckpoint,
  load,
  type Safetensors,
  type SaveOptions,
  type StoredDtype,
  save,
} from "./checkpoint/index.js";
export * from "./data/index.js";
export { DistilleryError, type ErrorCode } from "./errors.js";
export { DEFAULT_LOG_FILE, type EpochRecord, formatEpoch, withLogFile } from "./log/index.js";
export { crossEntropy } from "./losses/cross_entropy.js";
export { type KdLossOptions, type KdLossParts, kdLoss, kdLossParts } from "./losses/kd_loss.js";
export { networkFrom } from "./models/from_state.js";
export { StudentNet } from "./models/student_net.js";
export { TeacherNet } from "./models/teacher_net.js";
export { BatchNorm1d } from "./nn/batch_norm.js";
export * as F from "./nn/functional.js";
export { Dropout, ReLU, Sequential } from "./nn/layers.js";
export { Linear } from "./nn/linear.js";
export { Module, type ModuleBuffer } from "./nn/module.js";
export type { StateDict } from "./nn/state_dict.js";
export { AdamW, type AdamWOptions, type AdamWState } from "./optim/adamw.js";
export { clipGradNorm } from "./optim/clip_grad_norm.js";
export { OneCycleLR, type OneCycleOptions } from "./optim/one_cycle_lr.js";
export { noGrad } from "./tensor/autograd.js";
export { IntTensor, type Labels, LongTensor } from "./tensor/int_tensor.js";
export { Generator, manualSeed, rand, randint, randn, randperm, withGenerator } from "./tensor/random.js";
export { argmax } from "./tensor/reductions.js";
export { type Nested, ones, Parameter, Tensor, tensor, zeros } from "./tensor/tensor.js";
export { getNumThreads, setNumThreads } from "./threads.js";
export * from "./train/index.js";
