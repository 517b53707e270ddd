import { argumentError } from "../checks.js";
import type { TaskName } from "../data/task_name.js";
import type { Entry } from "../registry/index.js";
import type { DistillationLoss, LossContext } from "./loss.js";

/**
 * Refuses a loss for data of a task that it does not support: a softmax over outputs that are not classes means
 * nothing, and over a single output it is always 1, so nothing is learned. The `BAD_ARGUMENT` names the losses of
 * `entries` for that task.
 */
export function expectForTask<L extends { readonly name: string; readonly tasks?: readonly string[] | undefined }>(
  loss: L,
  task: TaskName = "classification",
  entries: readonly Entry<DistillationLoss, LossContext>[],
): L {
  const { name, tasks } = loss;
  if (tasks === undefined || tasks.includes(task)) return loss;
  const others = entries.filter((entry) => entry.tasks?.includes(task)).map((entry) => entry.name);
  const text = `${name} is for ${tasks.join(" and ")}, and the data are for ${task}`;
  const advice = `leave it out, or take one of ${others.join(", ")}, or one for every task, as logit-mse`;
  throw argumentError("loss", `${text}: ${advice}`);
}

/** The tasks that all losses support; undefined if each supports every task. `BAD_ARGUMENT` if there is none. */
export function commonTasks(losses: readonly DistillationLoss[]): readonly TaskName[] | undefined {
  let common: readonly TaskName[] | undefined;
  for (const [i, { tasks }] of losses.entries()) {
    if (tasks === undefined) continue;
    const both = common?.filter((task) => tasks.includes(task)) ?? tasks;
    if (both.length === 0) {
      const before = losses.slice(0, i).map((loss) => loss.name);
      const text = `${losses[i].name} is for ${tasks.join(" and ")}, and ${before.join(" + ")} for ${common?.join(" and ")}`;
      throw argumentError(`terms[${i}]`, `${text}: no data go with both`);
    }
    common = both;
  }
  return common;
}
