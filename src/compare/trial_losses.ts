import { renamed } from "../checks.js";
import { readsTeacherLogits } from "../losses/loss.js";
import { fitTeacher } from "../models/fit_network.js";
import { taskOf } from "../tasks/index.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { type MadeLoss, makeLoss, readsLogitsAlone } from "../train/resolve_loss.js";
import { madeOf } from "../train/trainer_input.js";
import type { Experiment } from "./experiment.js";
import { teacherOf } from "./task.js";
import type { Trial } from "./trial.js";

/**
 * The losses made for an experiment, by what was given; null is that of temperature and alpha, which each trial has of
 * its own.
 */
type MadeLosses = ReadonlyMap<Trial["loss"], MadeLoss | null>;

/**
 * Makes losses for an experiment's networks and data; refuses those that do not go with them, and an optimizer or a
 * schedule that does not go with a student or a loss's modules, before anything is written.
 */
export async function makeLosses(
  { task, options, external }: Experiment,
  losses: readonly Trial["loss"][],
  { trained, nameOf = () => "loss" }: { trained?: unknown; nameOf?: (i: number) => string } = {},
): Promise<MadeLosses> {
  const { data } = task;
  const teacher = fitTeacher(trained ?? external?.teacher ?? teacherOf(task), data);
  const generator = new Generator(0);
  const student = withGenerator(generator, () => task.student());
  const { labelSmoothing } = options;
  const ofLabels = taskOf(data).hardLoss({ labelSmoothing });
  const expectMade = (loss = ofLabels) => madeOf({ model: student, loss, lossSpec: undefined, data, options });
  await expectMade();
  const made = new Map<Trial["loss"], MadeLoss | null>();
  for (const [i, loss] of losses.entries()) {
    if (made.has(loss)) continue;
    const use = { student, teacher, data, labelSmoothing, generator };
    const one = loss === null ? null : await underName(nameOf(i), () => makeLoss(loss, use));
    if (one !== null) await expectMade(one.loss);
    made.set(loss, one);
  }
  return made;
}

/** Runs `body`, whose refusals of a loss are those of what it is called. */
export async function underName<T>(name: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    throw renamed(error, "loss", name);
  }
}

/** Whether a loss reads the teacher's logits, so that calibrating them changes its students. */
export function readsLogits(made: MadeLoss | null): boolean {
  return made === null || readsTeacherLogits(made.loss);
}

/** Whether a loss is what the baseline is trained with. */
export function isOfBaseline(made: MadeLoss | null, { task, options }: Experiment): boolean {
  if (made === null) return false;
  return JSON.stringify(made.loss.config()) === JSON.stringify(taskOf(task.data).hardLoss(options).config());
}

/** The trials with whether they use cached logits, and without the label smoothing that the baseline alone reads. */
export async function withCacheUse(
  experiment: Experiment,
  trials: readonly Trial[],
  teacher?: unknown,
): Promise<Trial[]> {
  const distilled = trials.filter(({ kind }) => kind === "distilled").map(({ loss }) => loss);
  const made = await makeLosses(experiment, distilled, { trained: teacher });
  return trials.map((trial) => {
    const one = made.get(trial.loss) ?? null;
    if (trial.kind !== "distilled") return { ...trial, usesCachedLogits: false };
    const options = (one === null ? trial.options.alpha < 1 : one.isSmoothed)
      ? trial.options
      : { ...trial.options, labelSmoothing: 0 };
    const { temperature, alpha, labelSmoothing } = options;
    const loss = one?.loss ?? taskOf(experiment.task.data).distillationLoss({ temperature, alpha, labelSmoothing });
    return { ...trial, options, usesCachedLogits: readsLogitsAlone(loss) };
  });
}
