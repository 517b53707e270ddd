import type { DistillationLoss } from "../losses/index.js";
import { readsTeacherLogits } from "../losses/loss.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { readsLogitsAlone, resolveLoss } from "../train/resolve_loss.js";
import type { Experiment } from "./experiment.js";
import type { Trial } from "./trial.js";

/** Refuses losses that do not go with the data or the networks, before anything is written. */
export async function expectLosses(experiment: Experiment, trials: readonly Trial[]): Promise<void> {
  await withCacheUse(experiment, trials, firstTeacher(experiment));
}

/** Those of some losses that read the teacher's logits. */
export async function lossesOfLogits(
  experiment: Experiment,
  losses: readonly Trial["loss"][],
): Promise<ReadonlySet<Trial["loss"]>> {
  return lossesThat(readsTeacherLogits, experiment, losses, firstTeacher(experiment));
}

/** The teacher before it is trained. */
function firstTeacher({ task: { teacher }, external }: Experiment): unknown {
  return external?.teacher ?? (typeof teacher === "function" ? withGenerator(new Generator(0), teacher) : teacher);
}

/** The trials with whether they use cached logits. */
export async function withCacheUse(
  experiment: Experiment,
  trials: readonly Trial[],
  teacher: unknown,
): Promise<Trial[]> {
  const distilled = trials.filter(({ kind }) => kind === "distilled").map(({ loss }) => loss);
  const users = await lossesThat(readsLogitsAlone, experiment, distilled, teacher);
  return trials.map((trial) => ({ ...trial, usesCachedLogits: trial.kind === "distilled" && users.has(trial.loss) }));
}

/** The losses that something holds of; each is made once to tell, and that of temperature and alpha reads logits. */
async function lossesThat(
  holds: (loss: DistillationLoss) => boolean,
  { task, options: { labelSmoothing } }: Experiment,
  losses: readonly Trial["loss"][],
  teacher: unknown,
): Promise<Set<Trial["loss"]>> {
  const generator = new Generator(0);
  const student = withGenerator(generator, task.student);
  const use = { student, teacher, data: task.data, labelSmoothing, generator };
  const those = new Set<Trial["loss"]>();
  for (const loss of new Set(losses)) if (loss === null || holds(await resolveLoss(loss, use))) those.add(loss);
  return those;
}
