import { join, relative } from "node:path";
import { load, save } from "../checkpoint/index.js";
import { argumentError } from "../checks.js";
import type { Dataset } from "../data/index.js";
import { DistilleryError } from "../errors.js";
import { makeFolder } from "../files/index.js";
import { weightsMetadata } from "../models/create_network.js";
import { fitNetwork } from "../models/fit_network.js";
import { Module } from "../nn/module.js";
import { hashOfTeacher, live, type Teacher, TeacherCache } from "../teachers/index.js";
import { notCached } from "../teachers/logits_in_order.js";
import { teacherFingerprint } from "../teachers/teacher_fingerprint.js";
import type { Precision } from "../tensor/precision.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { calibrateTeacher } from "../train/calibrate_teacher.js";
import { trainTeacher } from "../train/index.js";
import type { ResolvedDistillation } from "../train/options.js";
import {
  type ExternalTeacher,
  type LogitsFiles,
  logitsFilesIn,
  type Preparation,
  type SplitLogits,
  storedLogits,
  tooManyLogits,
} from "./external_teacher.js";
import type { ReadyTeacher } from "./shared_teacher.js";
import { type SplitTask, teacherOf } from "./task.js";
import { type Outcome, ofTraining, outcomeOf, reporting, resuming, type TrialProgress } from "./trial.js";

/** The teacher's folder below `out`. */
export const TEACHER = "teacher";

/**
 * The seed of the stream from which the teacher is drawn and trained. It is far from the students' seeds, because
 * networks of one stream start with the same weights and agree more than others (Stanton et al., 2021). `BAD_ARGUMENT`
 * if a student has it.
 */
export function teacherSeedOf(seeds: readonly number[]): number {
  const [first] = seeds;
  const seed = first < 2 ** 31 ? first + 2 ** 31 : first - 2 ** 31;
  if (!seeds.includes(seed)) return seed;
  throw argumentError("seeds", `${seed} is the teacher's, beside ${first}: leave one of the two out`);
}

/** The teacher of all distilled students. */
export interface TrainedTeacher {
  source: Module | Teacher;
  /** The `.safetensors` file of its weights; null if it is no network of Distillery's. */
  file: string | null;
  /** The outcome of its training; null if it came trained. */
  outcome: Outcome | null;
}

/** How the teacher is trained. */
interface TeacherTraining {
  out: string;
  keepCheckpoints: number;
  seed: number;
  options: ResolvedDistillation;
  signal: AbortSignal;
  onStep: (progress: TrialProgress) => void;
  onNote: (text: string) => void;
}

/**
 * Trains the teacher, unless it is already trained or its run has finished, and loads its best weights on the
 * validation set.
 */
export async function trainOrTakeTeacher(task: SplitTask, training: TeacherTraining): Promise<TrainedTeacher> {
  const { teacher, data, validation } = task;
  const folder = join(training.out, TEACHER);
  if (teacher instanceof Module) return keepTrained(teacher, folder);
  if (typeof teacher !== "function") return { source: teacher, file: null, outcome: null };
  const { seed, options, keepCheckpoints, signal, onStep, onNote } = training;
  const generator = new Generator(seed);
  const module = withGenerator(generator, () => teacher());
  const result = await withGenerator(generator, () =>
    trainTeacher({
      ...ofTraining(options),
      ...resuming(folder, onNote),
      model: module,
      data,
      validation,
      signal,
      keepCheckpoints,
      metadata: { seed },
      ...reporting(onStep, options.epochs),
    }),
  );
  if (result.best !== null) module.loadStateDict(result.best.state);
  const outcome = outcomeOf(result);
  return { source: module, file: outcome.files.best, outcome };
}

async function keepTrained(module: Module, folder: string): Promise<TrainedTeacher> {
  makeFolder(folder);
  const file = join(folder, "teacher.safetensors");
  await save(module.stateDict(), file, { metadata: weightsMetadata(module) });
  return { source: module, file, outcome: null };
}

/** What says whether, and on what, a teacher is calibrated. */
interface Calibrating {
  task: SplitTask;
  options: { precision: Precision };
  external: ExternalTeacher | null;
  calibrateTeacher: boolean;
  controls: { signal: AbortSignal };
}

/** Refuses a teacher whose logits are to be calibrated and can't be, unless it is yet to be trained. */
export async function expectCalibrated(
  { task, options: { precision }, external, calibrateTeacher: isCalibrated, controls: { signal } }: Calibrating,
  teacher: unknown = task.teacher,
): Promise<void> {
  if (!isCalibrated) return;
  const { data, validation } = task;
  if (external !== null) await external.expectCalibrated(signal);
  else if (teacher instanceof Module)
    await calibrateTeacher(live(fitNetwork(teacher, data, "teacher")), validation, { precision, signal });
}

/** What tells a teacher of these data from others. */
export function hashOf(teacher: Module | Teacher, data: Dataset): string | null {
  if (!(teacher instanceof Module)) return hashOfTeacher(teacher);
  return teacherFingerprint(fitNetwork(teacher, data, "teacher"));
}

/** A network's logits for the training data, from their file in `out` if it has them; null if they cannot be cached. */
export async function computeTeacherLogits(
  teacher: Module,
  data: Dataset,
  { out, precision, signal, onWork, onNote }: Omit<Preparation, "resume"> & { precision: Precision },
): Promise<TeacherCache | null> {
  const reason = tooManyLogits(data) ?? TeacherCache.whyNotCacheable(teacher, data, precision);
  if (reason !== null) {
    onNote(notCached(reason));
    return null;
  }
  const { training: file } = logitsFilesIn(out);
  const kept = await storedLogits(file, hashOf(teacher, data), data, precision);
  if (kept !== null) return kept;
  const cache = await TeacherCache.compute(teacher, data, { signal, precision, onWork });
  await cache.save(file);
  return cache;
}

/** Where the other shares find a teacher that share 0 made. */
export function describeTeacher(
  { source, file }: TrainedTeacher,
  data: Dataset,
  logits: SplitLogits | null,
  out: string,
): ReadyTeacher {
  const hash = logits?.training.teacherHash ?? hashOf(source, data);
  return { file: file && relative(out, file), hash, hasLogits: logits !== null };
}

/** The logits that trials share, and their files for other processes. */
export interface SharedLogits {
  known: SplitLogits | null;
  files: LogitsFiles;
}

/** None: the teacher is asked at each step. */
export const NO_LOGITS: SharedLogits = { known: null, files: { training: null, validation: null } };

/** What the experiment of a share says of its teacher. */
interface TakenFrom {
  task: SplitTask;
  external: ExternalTeacher | null;
  options: ResolvedDistillation;
  controls: Preparation;
}

/** The teacher that share 0 made, and its logits; `BAD_CHECKPOINT` if others are there now. */
export async function takeTeacher(
  { task, external, options, controls }: TakenFrom,
  { file, hash, hasLogits }: ReadyTeacher,
): Promise<{ teacher: TrainedTeacher; logits: SharedLogits }> {
  const { out } = controls;
  const { teacher, data } = task;
  if (external !== null) {
    await external.prepare({ ...controls, resume: true, hash });
    const logits = { known: external.logits, files: external.filesIn(out) };
    return { teacher: { source: external.teacher, file: null, outcome: null }, logits };
  }
  const path = join(out, file ?? "");
  const module = teacherOf({ teacher }) as Module;
  if (typeof teacher === "function") module.loadStateDict(await load(path, { allowNonFinite: true }));
  if (hashOf(module, data) !== hash) throw changedMeanwhile(path);
  const taken = { source: module, file: path, outcome: null };
  if (!hasLogits) return { teacher: taken, logits: NO_LOGITS };
  const files = logitsFilesIn(out);
  const training = await storedLogits(files.training, hash, data, options.precision);
  if (training === null) throw changedMeanwhile(files.training);
  const known = { training, validation: null };
  return { teacher: taken, logits: { known, files: { training: files.training, validation: null } } };
}

function changedMeanwhile(file: string): DistilleryError {
  return new DistilleryError("BAD_CHECKPOINT", `${file}: is not what share 0 made: run share 0 again`);
}
