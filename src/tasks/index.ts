import { argumentError } from "../checks.js";
import type { Dataset } from "../data/dataset.js";
import { labelsOf } from "../data/labels.js";
import { targetsOf } from "../data/targets.js";
import { type OfTask, type TaskName, taskNameOf } from "../data/task_name.js";
import { KD_DEFAULTS } from "../losses/kd_loss.js";
import { IntTensor } from "../tensor/int_tensor.js";
import type { Tensor } from "../tensor/tensor.js";
import { classification } from "./classification.js";
import type { TaskEvaluation } from "./evaluation.js";
import { multiLabel } from "./multi_label.js";
import { regression } from "./regression.js";
import type { Task, TaskLossOptions } from "./task.js";
import { vectors } from "./vectors.js";

/** What networks are trained for, by name: to add one, write its file and add it here. */
export const TASKS: Readonly<Record<TaskName, Task>> = {
  classification,
  regression,
  "multi-label": multiLabel,
  vectors,
};

/** The task of a data set. */
export function taskOf(data: OfTask): Task {
  return TASKS[taskNameOf(data)];
}

/**
 * Refuses an option other than its default that no loss of the data's task reads, rather than train as if it was not
 * given.
 */
export function expectRead(data: Dataset, given: Partial<TaskLossOptions>): void {
  const { name, reads } = taskOf(data);
  const unread = (Object.keys(given) as (keyof TaskLossOptions)[]).find(
    (option) => given[option] !== KD_DEFAULTS[option] && !reads.includes(option),
  );
  if (unread === undefined) return;
  throw argumentError(unread, `no loss for ${name} reads it: leave it out`);
}

/** Evaluates a network's outputs [samples, outputs] for a whole data set, and those of a teacher. */
export function evaluateOutputs(outputs: Tensor, data: Dataset, teacherOutputs?: Tensor): TaskEvaluation {
  const task = taskOf(data);
  const evaluator = task.evaluator(data);
  const truth = { labels: new IntTensor(labelsOf(data)), targets: targetsOf(data) };
  evaluator.add(outputs, truth, teacherOutputs && task.keep(teacherOutputs));
  return evaluator.report();
}
