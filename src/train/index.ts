export { evaluateLogits } from "../tasks/classification_metrics.js";
export type {
  Calibration,
  CalibrationBin,
  ClassReport,
  Evaluation,
  LabelReport,
  MultiLabelEvaluation,
  RegressionEvaluation,
  TargetReport,
  TaskEvaluation,
  VectorEvaluation,
} from "../tasks/evaluation.js";
export type { LabelPrediction, Prediction, TaskPrediction, ValuePrediction } from "../tasks/prediction.js";
export type { RunControls, RunResult, StepRecord } from "./controls.js";
export { type DistillInput, distill } from "./distill.js";
export { estimateRun, type RunEstimate } from "./estimate.js";
export { type EvaluatedLogits, evaluateRun, type RunEvaluation } from "./evaluate_run.js";
export { evaluate, logitsOf, measureLatency, measureThroughput, predict } from "./inference.js";
export { type MutualInput, mutual } from "./mutual.js";
export type { DistillationOptions, ResolvedDistillation, ResolvedTraining, TrainingOptions } from "./options.js";
export { joinRanks, type Ranks } from "./ranks.js";
export type { RunHandle } from "./run_handle.js";
export type { RunMemory } from "./run_memory.js";
export type { StepPoint } from "./step_trace.js";
export { type TrainTeacherInput, trainTeacher } from "./train_teacher.js";
export type { BestEpoch, BestWeights } from "./trainer_state.js";
