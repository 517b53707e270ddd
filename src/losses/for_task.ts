import { argumentError } from "../checks.js";
import type { TaskName } from "../data/task_name.js";
import type { Entry } from "../registry/index.js";
import type { DistillationLoss, LossContext } from "./loss.js";

/**
 * Refuses a loss for data of a task that it is not for: a softmax over outputs that are no classes means nothing, and
 * of one output it is always 1, from which nothing is learnt. `BAD_ARGUMENT` that names the losses of `entries` for
 * that task alone.
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

/** The tasks that all losses are for; undefined if each is for every one. `BAD_ARGUMENT` if there is none. */
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
