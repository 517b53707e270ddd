import type { Batch, Dataset } from "../data/dataset.js";
import type { ClassSpec } from "../data/preprocessing/spec.js";
import type { TaskName } from "../data/task_name.js";
import type { DistillationLoss } from "../losses/loss.js";
import type { Tensor } from "../tensor/tensor.js";
import type { TaskEvaluation } from "./evaluation.js";
import type { TaskPrediction } from "./prediction.js";

/** What of a teacher's outputs is kept for the agreement with it. */
export type TeacherOutputs = Int32Array | Float32Array;

/** The options of a run that a task's own losses read. */
export interface TaskLossOptions {
  readonly temperature: number;
  readonly alpha: number;
  readonly labelSmoothing: number;
}

/** Evaluates batch by batch. */
export interface Evaluator<E extends TaskEvaluation = TaskEvaluation> {
  /**
   * Adds a network's outputs [n, outputs], the batch that they are for, and what {@link Task.keep} kept of a teacher's.
   */
  add(outputs: Tensor, batch: Pick<Batch, "labels" | "targets">, teacher?: TeacherOutputs): void;
  report(): E;
}

/**
 * What networks are trained for: what the targets of samples are, what is minimised by default, and how well a network
 * does. To add one, write a file with a `Task`, its evaluation in `evaluation.ts`, its metrics in `metrics.ts`, and its
 * name in `TASK_NAMES`: the compiler names the tables that want a row.
 */
export interface Task<E extends TaskEvaluation = TaskEvaluation> {
  readonly name: TaskName;
  /** For help texts. */
  readonly help: string;
  /** The options that its own losses read. */
  readonly reads: readonly (keyof TaskLossOptions)[];
  /** What a network learns with from the data alone. */
  hardLoss(options: Pick<TaskLossOptions, "labelSmoothing">): DistillationLoss;
  /** The default loss of a student with a teacher: `alpha` of it comes from the teacher. */
  distillationLoss(options: TaskLossOptions): DistillationLoss;
  /** The number of outputs that a network for data with `classes` outputs has; -1: any. */
  width(classes: number): number;
  /** Evaluates outputs for samples of the data. */
  evaluator(data: Pick<Dataset, "classes" | "classNames" | "targetScale">): Evaluator<E>;
  /** Whether the outputs of a sample say something of it; a class or label of -Infinity is never predicted. */
  isValid(outputs: Float32Array): boolean;
  /** What outputs [n, outputs] say of each sample, in the words and units of the data. */
  predictions(outputs: Tensor, spec: Pick<ClassSpec, "classNames" | "targets">): TaskPrediction[];
  /** Of each sample a number, whose mean is the task's first metric; without it that is no mean over samples. */
  scores?(outputs: Tensor, data: Dataset): ArrayLike<number>;
  /** What is kept of a teacher's outputs [n, outputs]. */
  keep(outputs: Tensor): TeacherOutputs;
  /**
   * The first metric's value of outputs that say nothing of the samples, for all `labels` or `targets` of some data.
   */
  chance(truth: Pick<Batch, "labels" | "targets">, data: Pick<Dataset, "classes">): number;
  /**
   * Which metrics are not defined for the targets of some data, with the value that stands for them, as scikit-learn
   * has it.
   */
  undefinedMetrics(data: Dataset): string[];
}
