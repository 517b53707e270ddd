import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { save } from "../checkpoint/index.js";
import type { Dataset } from "../data/index.js";
import { ioError } from "../files/index.js";
import type { Module } from "../nn/module.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { TeacherCache, trainTeacher } from "../train/index.js";
import type { ResolvedDistillation } from "../train/options.js";
import { ofTraining, outcomeOf, resuming } from "./local_trainer.js";
import type { Outcome } from "./members.js";
import type { SplitProblem } from "./problem.js";

/** The teacher's folder below `out`. */
export const TEACHER = "teacher";

/** A teacher that all students learn from. */
export interface ReadyTeacher {
  module: Module;
  /** Of its weights, `.safetensors`. */
  file: string;
  /** How it was trained; null where it came trained. */
  outcome: Outcome | null;
}

/** How the teacher is trained. */
export interface TeacherTraining {
  out: string;
  seed: number;
  options: ResolvedDistillation;
  signal: AbortSignal;
  onStep: (done: number) => void;
  onNote: (text: string) => void;
}

/** Trains the teacher, unless it is trained or finished; it has the weights that did best on the validation set. */
export async function readyTeacher(problem: SplitProblem, training: TeacherTraining): Promise<ReadyTeacher> {
  const { teacher, data, validation } = problem;
  const folder = join(training.out, TEACHER);
  if (typeof teacher !== "function") return keepTrained(teacher, folder);
  const { seed, options, signal, onStep, onNote } = training;
  const generator = new Generator(seed);
  const module = withGenerator(generator, teacher);
  const result = await withGenerator(generator, () =>
    trainTeacher({
      ...ofTraining(options),
      ...resuming(folder, onNote),
      ...{ model: module, data, validation, signal, about: { seed } },
      onStep: ({ step }) => onStep(step),
    }),
  );
  if (result.best !== null) module.loadStateDict(result.best.state);
  const outcome = outcomeOf(result);
  return { module, file: outcome.files.best, outcome };
}

async function keepTrained(module: Module, folder: string): Promise<ReadyTeacher> {
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw ioError("write", folder, error, "folder");
  });
  const file = join(folder, "teacher.safetensors");
  await save(module.stateDict(), file);
  return { module, file, outcome: null };
}

/** A teacher's answers for the training data, and the file that they are in. */
export interface Answers {
  cache: TeacherCache;
  file: string;
}

/** Asks the teacher once for each example, or takes what is in the file; null where it has to be asked at each step. */
export async function askTeacher(
  teacher: Module,
  data: Dataset,
  { out, signal, onNote }: Pick<TeacherTraining, "out" | "signal" | "onNote">,
): Promise<Answers | null> {
  const obstacle = TeacherCache.obstacle(teacher, data);
  if (obstacle !== null) {
    onNote(`the teacher is asked at each step: ${obstacle}`);
    return null;
  }
  const file = join(out, "teacher_logits.safetensors");
  const kept = await keptAnswers(file, teacher, data);
  if (kept !== null) return { cache: kept, file };
  const cache = await TeacherCache.compute(teacher, data, { signal });
  await cache.save(file);
  return { cache, file };
}

/** Answers that an interrupted call has left; null where there are none of this teacher and these data. */
async function keptAnswers(file: string, teacher: Module, data: Dataset): Promise<TeacherCache | null> {
  try {
    const cache = await TeacherCache.load(file);
    cache.expectOf(teacher, data);
    return cache;
  } catch {
    return null;
  }
}
