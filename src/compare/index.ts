export type { ClassDifference, ComparedBehaviour, Fidelity, Flips, ScaledCalibration } from "./behaviour.js";
export { type CompareInput, compare, compareShare } from "./compare.js";
export {
  type CorrectedDifference,
  type CrossedDifference,
  crossedDifference,
  type SourceOfChance,
} from "./crossed_difference.js";
export type {
  ExperimentControls,
  ExperimentInput,
  ExperimentProgress,
  TrialRecord,
  Workers,
} from "./experiment_input.js";
export type {
  CompareResult,
  FractionMetrics,
  Lead,
  Method,
  MethodDifference,
  MetricStats,
  NetworkSize,
  PointSpread,
  StudentMetrics,
  SweepPoint,
  SweepResult,
} from "./results.js";
export type { Share, ShareResult } from "./run_experiment.js";
export {
  type Corrected,
  holm,
  type PairedDifference,
  pairedDifference,
  type SampleStats,
  sampleStats,
} from "./statistics.js";
export {
  calibrationSummary,
  compareCaveats,
  compareSummary,
  methodsSummary,
  scopeOf,
  sweepCaveats,
  sweepSummary,
} from "./summary.js";
export { type SweepInput, sweep, sweepShare } from "./sweep.js";
export type { Task } from "./task.js";
export type { TrialProgress } from "./trial.js";
