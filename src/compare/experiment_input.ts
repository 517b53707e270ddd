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
   * A module, by its file or address, whose default export returns in such a process the task that is given here:
   * `(argument) => Task`, or a promise of it.
   */
  module: string | URL;
  /** The argument of that function; sent as JSON. */
  argument?: unknown;
  /**
   * The maximum number of processes; default: the number of threads that kernels may use. The threads are divided among
   * them.
   */
  count?: number;
  /** How many seconds a process may take to open its task; default: 60. */
  startSeconds?: number;
}

/** The progress of a comparison or a sweep. */
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

/** A finished run. */
export interface TrialRecord {
  /** Its folder below `out`: `teacher`, `seed-0/distilled`. */
  name: string;
  epochs: number;
  /** On the validation set. */
  best: BestEpoch;
  /** The seconds that it took in this call. */
  seconds: number;
}

/** How a comparison or a sweep is saved, watched and stopped. */
export interface ExperimentControls {
  /** The folder for the result and, below it, a folder for each run. */
  out: string;
  /** Whether runs in `out` are resumed, and finished ones are kept. */
  resume?: boolean;
  /**
   * Whether an experiment with other options in `out` is replaced, its runs when the new one starts. By default it is
   * refused.
   */
  overwrite?: boolean;
  /**
   * Trains nothing: collects the runs that {@link compareShare} or {@link sweepShare} left in `out` into the result
   * that one call would return. A `NOT_FOUND` names runs that are not done.
   */
  collect?: boolean;
  /**
   * How many checkpoints of each run are kept, as {@link distill} takes it; default 0: none with the optimizer's state.
   */
  keepCheckpoints?: number;
  /** What `config.json` keeps besides the options. */
  metadata?: Readonly<Record<string, unknown>>;
  /** Trains in parallel processes; default: one run after the other in this process. The metrics are the same. */
  workers?: Workers;
  /** Stops all runs, each after its current step and once its state is saved. The call then fails with `ABORTED`. */
  signal?: AbortSignal;
  onProgress?: (progress: ExperimentProgress) => unknown;
  /** Called when a run is done. */
  onTrial?: (trial: TrialRecord) => unknown;
  /**
   * Called for work besides the runs, when it starts and after each part: `teacher logits`, `starting processes`, `test
   * set`.
   */
  onWork?: (progress: WorkProgress) => unknown;
  /** Called with a line for the user. */
  onNote?: (text: string) => unknown;
}

/** Options that {@link compare} and {@link sweep} share. */
export interface ExperimentInput extends Task, ExperimentControls, Omit<DistillationOptions, "teacherMode"> {
  /** The loss of the students, as in {@link distill}; with `workers` an expression. */
  loss?: LossSpec;
  /** Whether the teacher's logits are scaled to fit the validation set, as in {@link distill}; default false. */
  calibrateTeacher?: boolean;
  /** Read once, when all training is done. */
  test: Dataset;
}
