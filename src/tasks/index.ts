import { type Dataset, labelsOf, type TaskName } from "../data/dataset.js";
import { IntTensor } from "../tensor/int_tensor.js";
import type { Tensor } from "../tensor/tensor.js";
import { classification } from "./classification.js";
import type { TaskEvaluation } from "./figures.js";
import type { Task } from "./task.js";

/** What networks are trained for, by name: to add one, write its file and add it here. */
export const TASKS: Readonly<Record<TaskName, Task>> = { classification };

/** The task of a data set. */
export function taskOf({ task = "classification" }: { readonly task?: TaskName | undefined }): Task {
  return TASKS[task];
}

/** Evaluates a network's outputs [samples, outputs] for a whole data set, and those of a teacher. */
export function evaluateOutputs(outputs: Tensor, data: Dataset, teacherOutputs?: Tensor): TaskEvaluation {
  const task = taskOf(data);
  const evaluating = task.evaluating(data);
  evaluating.add(outputs, { labels: new IntTensor(labelsOf(data)) }, teacherOutputs && task.keep(teacherOutputs));
  return evaluating.report();
}
