export { type CompareInput, compare } from "./compare.js";
export type {
  ExperimentControls,
  ExperimentInput,
  ExperimentProgress,
  TrialRecord,
  Workers,
} from "./experiment.js";
export type {
  CompareResult,
  CorrectedDifference,
  FigureStats,
  Method,
  NetworkSize,
  StudentFigures,
  SweepPoint,
  SweepResult,
} from "./results.js";
export { holm, type PairedDifference, pairedDifference, type SampleStats, sampleStats } from "./statistics.js";
export { compareSummary, methodsSummary, sweepSummary } from "./summary.js";
export { type SweepInput, sweep } from "./sweep.js";
export type { Task } from "./task.js";
