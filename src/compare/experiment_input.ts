import type { Dataset } from "../data/index.js";
import type { WorkProgress } from "../log/progress_line.js";
import type { LossSpec } from "../losses/index.js";
import type { BestEpoch } from "../train/index.js";
import type { DistillationOptions } from "../train/options.js";
import type { Task } from "./task.js";
import type { TrialProgress } from "./trial.js";

/** Processes that train side by side. */
export interface Workers {
  /**
   * A module, by its file or address, whose default export gives the task in such a process as it is given here:
   * `(argument) => Task`, or a promise of it.
   */
  module: string | URL;
  /** What that is called with; sent as JSON. */
  argument?: unknown;
  /** How many there are at most; default: as many as kernels may use threads. The threads are shared out among them. */
  count?: number;
  /** How many seconds one may take to open its task; default: 60. */
  startSeconds?: number;
}

/** How far a comparison or a sweep is. */
export interface ExperimentProgress {
  /**
   * Steps done and steps in all, over all runs; a step of the teacher counts as many times as it has more parameters.
   */
  done: number;
  total: number;
  /** The run that made the last step: `seed-0/distilled`. */
  trial: string;
  /** The runs in progress, with their names. */
  running: (TrialProgress & { name: string })[];
}

/** A run that is done. */
export interface TrialRecord {
  /** Its folder below `out`: `teacher`, `seed-0/distilled`. */
  name: string;
  epochs: number;
  /** On the validation set. */
  best: BestEpoch;
  /** That it took in this call. */
  seconds: number;
}

/** How a comparison or a sweep is kept, watched and stopped. */
export interface ExperimentControls {
  /** The folder for the result and, below it, a folder for each run. */
  out: string;
  /** Whether runs in `out` are resumed, and finished ones are kept. */
  resume?: boolean;
  /**
   * Whether an experiment with other options in `out` is replaced, its runs as the new one begins; default: it is
   * refused.
   */
  overwrite?: boolean;
  /**
   * Trains nothing: takes the runs that {@link compareShare} or {@link sweepShare} left in `out`, for the result that
   * one call would give. `NOT_FOUND` names those that are not done.
   */
  collect?: boolean;
  /**
   * How many checkpoints of each run are kept, as {@link distill} takes it; default 0: none with the optimizer's state.
   */
  keepCheckpoints?: number;
  /** What `config.json` keeps beside the options. */
  metadata?: Readonly<Record<string, unknown>>;
  /** Trains side by side in processes; default: one run after the other, here. The figures are the same. */
  workers?: Workers;
  /** Stops all runs, each after the step that it is in and once its state is saved. The call ends with `ABORTED`. */
  signal?: AbortSignal;
  onProgress?: (progress: ExperimentProgress) => unknown;
  /** Called when a run is done. */
  onTrial?: (trial: TrialRecord) => unknown;
  /**
   * Called during what is done beside the runs, as it begins and after each part: `teacher logits`,
   * `starting processes`, `test set`.
   */
  onWork?: (progress: WorkProgress) => unknown;
  /** Called with a line that a person would want to know. */
  onNote?: (text: string) => unknown;
}

/** What {@link compare} and {@link sweep} have in common. */
export interface ExperimentInput extends Task, ExperimentControls, Omit<DistillationOptions, "teacherMode"> {
  /** What the students are distilled with, as {@link distill} takes it; with `workers` an expression. */
  loss?: LossSpec;
  /** Whether the teacher's logits are scaled to fit the validation set, as {@link distill} takes it; default false. */
  calibrateTeacher?: boolean;
  /** Read once, when all training is done. */
  test: Dataset;
}
