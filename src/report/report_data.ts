import type { CompareResult, NetworkSize, SweepResult } from "../compare/results.js";
import type { TaskName } from "../data/task_name.js";
import type { EpochRecord } from "../log/epoch_record.js";
import type { TaskEvaluation } from "../tasks/evaluation.js";
import type { StepPoint } from "../train/step_trace.js";

/** What a report says first. */
export interface Verdict {
  /** Whether distilling helped; null for a single run. */
  answer: "yes" | "no" | "unclear" | null;
  /** One sentence. */
  headline: string;
  /** What it rests on. */
  detail: string;
  /** What else has to be known to read it: contradictions, and what it does not cover. */
  caveats?: readonly string[];
}

/** Common to all reports: the verdict, and what is needed to repeat the run. */
export interface ReportHead {
  title: string;
  verdict: Verdict;
  /** The command that repeats it; empty if a program called the library. */
  command: string;
  /** ISO 8601. */
  created: string;
  versions: Readonly<Record<string, string>>;
  /** All that the numbers follow from, hashes included. */
  config: Readonly<Record<string, unknown>>;
  /** Default: classification. */
  task?: TaskName;
  /** In their order. */
  classNames: readonly string[];
}

/** A sample that the student classifies wrong. */
export interface Mistake {
  /** Its index in the data set. */
  index: number;
  /** Its true class. */
  label: number;
  /** Logits by class. */
  student: readonly number[];
  teacher?: readonly number[];
  /** Where it was read: a file's name, and a line counted from 1. */
  source?: { file: string; line: number };
  /** A text that was read. */
  text?: string;
  /** The cells of a table's row by their columns' names; null: missing. */
  cells?: Readonly<Record<string, number | string | null>>;
  /** The sample as a PNG in a data URI, if it is an image. */
  image?: string;
}

/** What a network's predictions for held-out data show. */
export interface HeldOutPredictions {
  part: "test" | "validation";
  /** Which weights made them. */
  weights: "best" | "last";
  evaluation: TaskEvaluation;
  teacher?: TaskEvaluation;
  /** If the teacher was calibrated: the temperature that divided its logits, and its metrics with it. */
  calibrated?: { temperature: number; teacher: TaskEvaluation };
  mistakes: readonly Mistake[];
}

/** A network's size, and its speed if that was measured. */
export type SizeMetrics = Pick<NetworkSize, "parameters" | "bytes"> & Partial<NetworkSize>;

/** One run: a distillation, or the training of a teacher. */
export interface RunReport extends ReportHead {
  kind: "run";
  history: readonly EpochRecord[];
  /** Loss and gradient norm by step; of a long run not of each. */
  steps: readonly StepPoint[];
  /** The epoch that was best on the validation set. */
  best: { epoch: number; [metric: `validation${string}`]: number } | null;
  /** Null without held-out data. */
  predictions: HeldOutPredictions | null;
  /**
   * The task's figure, such as accuracy, on the same data with the last epoch's weights, if the predictions are the
   * best ones'.
   */
  lastMetric: number | null;
  sizes: { student: SizeMetrics; teacher?: SizeMetrics };
}

/** A comparison: the figures of `compare`, and the predictions of the first seed's distilled student. */
export interface CompareReport extends ReportHead {
  kind: "compare";
  result: Omit<CompareResult, "config">;
  predictions: HeldOutPredictions;
}

/** A sweep: its points, and the predictions of the best of them. */
export interface SweepReport extends ReportHead {
  kind: "sweep";
  result: Omit<SweepResult, "config">;
  predictions: HeldOutPredictions;
}

/** The data of `report.html`, embedded in it as JSON. */
export type Report = RunReport | CompareReport | SweepReport;
