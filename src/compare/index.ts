export { compareAnswer, sweepAnswer } from "./answer.js";
export { type CompareInput, compare } from "./compare.js";
export type { CompareControls, MemberRecord, TrialInput, Workers } from "./input.js";
export type { Problem } from "./problem.js";
export type { CompareProgress } from "./progress.js";
export type {
  CompareResult,
  NetworkSize,
  PairedDifference,
  Spread,
  StudentFigures,
  SweepPoint,
  SweepResult,
} from "./result.js";
export { pairedDifference, spread } from "./statistics.js";
export { type SweepInput, sweep } from "./sweep.js";
