import { setImmediate } from "node:timers/promises";
import { load } from "../checkpoint/index.js";
import { type Dataset, labelsOf } from "../data/index.js";
import { DistilleryError } from "../errors.js";
import type { WorkProgress } from "../log/progress_line.js";
import { Module } from "../nn/module.js";
import { rowOf } from "../slices.js";
import { evaluateLogits } from "../tasks/classification_metrics.js";
import { taskOf } from "../tasks/index.js";
import { highest, softmax } from "../tasks/softmax.js";
import type { Tensor } from "../tensor/tensor.js";
import { fitTemperature } from "../train/calibrate_teacher.js";
import { logitsOf } from "../train/index.js";
import { type CorrectedDifference, crossedDifference } from "./crossed_difference.js";
import { corrected, type SampleStats, sampleStats } from "./statistics.js";
import type { SplitTask } from "./task.js";
import type { TrainedTeacher } from "./teacher.js";

/** How distilled students behave, besides their metrics. */
export interface ComparedBehaviour {
  /** On the test set and on the training data; null if the teacher does not know them, or they change at random. */
  fidelity: Record<"baseline" | "distilled", { test: Fidelity | null; training: Fidelity | null }>;
  /** Test samples on which the distilled student differs from the baseline, and from the teacher if it knows them. */
  flips: { baseline: Flips; teacher: Flips | null };
  perClass: ClassDifference[];
  /**
   * On the test set, before and after temperature scaling; null for a teacher that does not know test and validation
   * set.
   */
  calibration: Record<"baseline" | "distilled", ScaledCalibration> & { teacher: ScaledCalibration | null };
}

/** Students of one way to train, with their best weights. */
interface Students {
  figures: { files: string[] };
  scores: { best: Right } | null;
  /** On the test set. */
  fidelity: Fidelity | null;
}

/** What they are compared on, and with. */
interface Setting {
  teacher: TrainedTeacher["source"];
  /** For the test set; null if the teacher does not know it. */
  teacherLogits: Tensor | null;
  /** Loads the weights of one file after the other. */
  student: Module;
  task: SplitTask;
  test: Dataset;
  controls: { signal: AbortSignal; onWork: (progress: WorkProgress) => void };
}

/** How distilled students of a classification behave compared with baseline and teacher. */
export async function behaviourOf(
  baseline: Students,
  distilled: Students,
  { teacher, teacherLogits, student, task, test, controls: { signal, onWork } }: Setting,
): Promise<ComparedBehaviour> {
  const [before, now] = [baseline, distilled].map(({ scores }) => scores?.best ?? []);
  let done = 0;
  const withProgress = async <T>(part: () => T | Promise<T>): Promise<T> => {
    onWork({ work: "fidelity and calibration", done, total: 6 });
    done += 1;
    await setImmediate();
    return part();
  };
  const onTraining = await withProgress(() =>
    teacher instanceof Module ? comparableLogits(teacher, task.data) : null,
  );
  const fidelity = async ({ figures: { files }, fidelity: ofTest }: Students) => ({
    test: ofTest,
    training: await withProgress(() =>
      fidelityOfFiles(files, student, { data: task.data, teacherLogits: onTraining, signal }),
    ),
  });
  const ofStudents = ({ figures: { files } }: Students) =>
    withProgress(() => calibrationOf(withWeights(files, student, signal), parts));
  const parts = { validation: task.validation, test };
  const ofTeacher = teacherLogits && taskOf(test).scores?.(teacherLogits, test);
  const byTeacher = ofTeacher ? now.map(() => ofTeacher) : null;
  return {
    fidelity: { baseline: await fidelity(baseline), distilled: await fidelity(distilled) },
    flips: { baseline: flipsOf(now, before), teacher: byTeacher && flipsOf(now, byTeacher) },
    perClass: classDifferences(now, before, labelsOf(test), test.classes),
    calibration: {
      teacher: await withProgress(() => (teacher instanceof Module ? calibrationOf([teacher], parts) : null)),
      baseline: await ofStudents(baseline),
      distilled: await ofStudents(distilled),
    },
  };
}

/** How well students agree with their teacher, right or wrong, over the seeds (Stanton et al., 2021). */
export interface Fidelity {
  /** The share of samples that both classify alike. */
  agreement: SampleStats;
  /** The mean divergence KL(teacher || student) of their probabilities, at temperature 1. */
  divergence: SampleStats;
}

/** {@link Fidelity} between two classifiers on the same samples: logits [samples, classes] in double precision. */
export function fidelityOf(student: Tensor, teacher: Tensor): { agreement: number; divergence: number } {
  const [samples, classes] = student.shape;
  let [alike, divergence] = [0, 0];
  for (let i = 0; i < samples; i++) {
    const [own, its] = [student, teacher].map(({ data }) => Array.from(rowOf(data, i, classes)));
    if (highest(own) === highest(its)) alike += 1;
    const probabilities = softmax(its);
    const [ofStudent, ofTeacher] = [logSum(own), logSum(its)];
    for (const [k, p] of probabilities.entries())
      if (p > 0) divergence += p * (its[k] - ofTeacher - (own[k] - ofStudent));
  }
  return { agreement: alike / samples, divergence: divergence / samples };
}

/** log sum exp. */
function logSum(values: readonly number[]): number {
  const largest = Math.max(...values);
  return largest + Math.log(values.reduce((sum, x) => sum + Math.exp(x - largest), 0));
}

/** More logits than this are not held in memory. */
const MAX_LOGITS = 2 ** 26;

/**
 * A teacher's logits for data on which its students are compared with it; null if the data change at random or are too
 * large.
 */
function comparableLogits(teacher: Module, data: Dataset): Tensor | null {
  if (data.augmented === true || data.length * data.classes > MAX_LOGITS) return null;
  return logitsOf(teacher, data);
}

/** The fidelity of the weights in files, which the student loads one after the other. */
async function fidelityOfFiles(
  files: readonly string[],
  student: Module,
  { data, teacherLogits, signal }: { data: Dataset; teacherLogits: Tensor | null; signal: AbortSignal },
): Promise<Fidelity | null> {
  if (teacherLogits === null) return null;
  const all: ReturnType<typeof fidelityOf>[] = [];
  for await (const network of withWeights(files, student, signal)) {
    all.push(fidelityOf(logitsOf(network, data), teacherLogits));
  }
  return spreadOf(all);
}

/**
 * The spread of the fidelity over several students; null if one rules out a class that its teacher does not, which
 * makes the divergence infinite.
 */
export function spreadOf(all: readonly ReturnType<typeof fidelityOf>[]): Fidelity | null {
  if (!all.every(({ divergence }) => Number.isFinite(divergence))) return null;
  return {
    agreement: sampleStats(all.map(({ agreement }) => agreement)),
    divergence: sampleStats(all.map(({ divergence }) => divergence)),
  };
}

/** The fractions of samples on which a student differs from another network in being right, over the seeds. */
export interface Flips {
  /** Wrong in the other network, right in this one. */
  gained: SampleStats;
  /** Right in the other network, wrong in this one: negative flips (Yan et al., Positive-congruent training, 2021). */
  lost: SampleStats;
}

/**
 * The effect of distillation on one class, distilled minus baseline; p values are corrected for the number of classes
 * (Holm).
 */
export interface ClassDifference extends CorrectedDifference {
  class: number;
  /** Test samples of the class. */
  support: number;
  /** The shares that are classified right. */
  baseline: number;
  distilled: number;
}

/** Right (1) or wrong (0) by seed and sample. */
type Right = readonly ArrayLike<number>[];

/** How often `now` is right where `before` was wrong, and the reverse, for each seed. */
export function flipsOf(now: Right, before: Right): Flips {
  const share = (was: number, is: number) =>
    sampleStats(
      now.map(
        (right, seed) => Array.from(right).filter((x, i) => x === is && before[seed][i] === was).length / right.length,
      ),
    );
  return { gained: share(0, 1), lost: share(1, 0) };
}

/**
 * The accuracy for each class (the fraction of its samples that are classified correctly), distilled minus baseline,
 * with the interval of {@link crossedDifference} over its samples. A mean over all classes hides classes that lose
 * (Mohammadshahi and Ioannou, 2025).
 */
export function classDifferences(
  distilled: Right,
  baseline: Right,
  labels: Int32Array,
  classes: number,
): ClassDifference[] {
  const ofClass = (right: Right, label: number) =>
    right.map((one) => Array.from(one).filter((_, i) => labels[i] === label));
  const present = Array.from({ length: classes }, (_, label) => label).filter((label) => labels.includes(label));
  const parts = present.map((label) => ({ label, now: ofClass(distilled, label), before: ofClass(baseline, label) }));
  const differences = corrected(parts.map(({ now, before }) => crossedDifference(now, before)));
  const mean = (right: readonly number[][]) => sampleStats(right.map((one) => sampleStats(one).mean)).mean;
  return parts.map(({ label, now, before }, i) => ({
    ...differences[i],
    class: label,
    support: now[0].length,
    baseline: mean(before),
    distilled: mean(now),
  }));
}

/**
 * The calibration error of networks on the test set, before and after temperature scaling with a temperature chosen on
 * the validation set (Guo et al., 2017).
 */
export interface ScaledCalibration {
  error: SampleStats;
  /** The temperature, and the error with it; null if one of the networks has no best temperature. */
  temperature: SampleStats | null;
  scaledError: SampleStats | null;
}

/** The parts of the data that are read. */
interface Parts {
  validation: Dataset;
  test: Dataset;
}

/** The calibration of one network after another, such as one that takes the weights of several files. */
async function calibrationOf(
  networks: AsyncIterable<Module> | readonly Module[],
  parts: Parts,
): Promise<ScaledCalibration> {
  const [errors, temperatures, scaled]: [number[], number[], number[]] = [[], [], []];
  for await (const network of networks) {
    const logits = logitsOf(network, parts.test);
    const labels = labelsOf(parts.test);
    const errorOf = (of: Tensor) => evaluateLogits(of, labels).calibration.error;
    errors.push(errorOf(logits));
    const temperature = bestTemperature(network, parts.validation);
    if (temperature === null) continue;
    temperatures.push(temperature);
    scaled.push(errorOf(logits.div(temperature)));
  }
  const isScaled = scaled.length === errors.length;
  return {
    error: sampleStats(errors),
    temperature: isScaled ? sampleStats(temperatures) : null,
    scaledError: isScaled ? sampleStats(scaled) : null,
  };
}

/** A network with the weights of one file after the other. */
async function* withWeights(files: readonly string[], network: Module, signal: AbortSignal) {
  for (const file of files) {
    await setImmediate();
    if (signal.aborted) throw new DistilleryError("ABORTED", "stopped while students and teacher were compared");
    network.loadStateDict(await load(file));
    yield network;
  }
}

/** Null if the network predicts every label of the validation set, or none better than by chance. */
function bestTemperature(network: Module, validation: Dataset): number | null {
  const logits = Float64Array.from(logitsOf(network, validation).data);
  const labels = labelsOf(validation);
  try {
    return fitTemperature(logits, labels, validation.classes).temperature;
  } catch (error) {
    if (error instanceof DistilleryError && error.code === "BAD_ARGUMENT") return null;
    throw error;
  }
}
