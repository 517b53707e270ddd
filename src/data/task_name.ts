/** What networks can be trained for. */
export const TASK_NAMES = ["classification", "regression", "multi-label", "vectors"] as const;
/** What a network is trained for: classes, numbers, several labels at once, or vectors. */
export type TaskName = (typeof TASK_NAMES)[number];

/** Something that has a task; classification if it does not name one. */
export interface OfTask {
  readonly task?: TaskName | undefined;
}

/** The task of a data set, or of what is said of one. */
export function taskNameOf({ task = "classification" }: OfTask): TaskName {
  return task;
}

/** Whether samples have targets instead of classes. */
export function hasTargets(data: OfTask): boolean {
  return taskNameOf(data) !== "classification";
}
