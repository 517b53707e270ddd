import { stat } from "node:fs/promises";
import { fingerprint, load } from "../checkpoint/index.js";
import type { Dataset } from "../data/index.js";
import type { TaskName } from "../data/task_name.js";
import { DistilleryError } from "../errors.js";
import type { EpochRecord } from "../log/epoch_record.js";
import { Module } from "../nn/module.js";
import type { TaskEvaluation } from "../tasks/evaluation.js";
import { measureLatency, measureThroughput } from "../train/index.js";
import type { ComparedBehaviour } from "./behaviour.js";
import type { CorrectedDifference, CrossedDifference } from "./crossed_difference.js";
import type { Corrected, PairedDifference, SampleStats } from "./statistics.js";
import type { TrainedTeacher } from "./teacher.js";

/** A network's size and speed. */
export interface NetworkSize {
  parameters: number;
  /** The size of its `.safetensors` file. */
  bytes: number;
  /** For one example, the median in milliseconds. */
  latencyMs: number;
  /** Examples a second in batches. */
  throughput: number;
}

/**
 * The task's figures by their names: of a classification `accuracy`, `agreement` and `calibrationError`. One that is
 * not known is left out.
 */
export type MetricStats = Record<string, SampleStats>;

/** One way to train the student, over all seeds; figures are of the test set, which was read once, at the end. */
export interface StudentMetrics {
  /** With the weights of the epoch that was best on the validation set; `epoch` is that one. */
  best: MetricStats & { epoch: SampleStats };
  /** With the weights of the last epoch. */
  last: MetricStats;
  /** By seed. */
  histories: EpochRecord[][];
  /** By seed, best epoch. */
  evaluations: TaskEvaluation[];
  /** By seed: the best weights. */
  files: string[];
}

/** One of the ways to distil that a comparison sets side by side. */
export interface Method {
  /** Its name: its loss, and `, calibrated teacher` beside the same loss without. */
  name: string;
  /** As it was given: `cross-entropy + dkd(warmup=20)`. */
  loss: string;
  /** Whether the teacher's logits were scaled to fit the validation set. */
  calibrateTeacher: boolean;
  best: StudentMetrics["best"];
  last: StudentMetrics["last"];
  /** By seed: the best weights. */
  files: string[];
  /** The task's first figure, such as accuracy, minus that of the baseline. */
  difference: { best: CorrectedDifference; last: CorrectedDifference };
  /**
   * The task's first figure minus that of the first loss; null for the first loss, and for a calibrated teacher's
   * student whose loss also has an uncalibrated teacher.
   */
  againstFirst: MethodDifference | null;
  /**
   * For a calibrated teacher's student: the index in `methods` of the same loss with the uncalibrated teacher; null if
   * there is none.
   */
  uncalibrated: number | null;
  /**
   * For a calibrated teacher's student: the task's first figure minus that of the same loss with the uncalibrated
   * teacher; null for the others.
   */
  againstUncalibrated: MethodDifference | null;
}

/**
 * By how much the figures of one method exceed those of another, with p values corrected for the number of methods that
 * have such a difference.
 */
export interface MethodDifference {
  best: CorrectedDifference;
  last: CorrectedDifference;
  /**
   * The other figures with the best epoch's weights, such as `calibrationError`, each by itself, with an interval for
   * other seeds alone.
   */
  others: Record<string, PairedDifference>;
}

/** What `compare` finds. */
export interface CompareResult {
  kind: "compare";
  data: {
    name: string;
    /** Default: classification. */
    task?: TaskName;
    training: number;
    validation: number;
    test: number;
    features: number;
    classes: number;
  };
  seeds: number[];
  /** The networks' sizes. */
  sizes: { teacher: NetworkSize | null; student: NetworkSize };
  /**
   * `file` is null for a teacher that is no network of Distillery's, `evaluation` for one that has no outputs for the
   * test set.
   */
  teacher: { file: string | null; history: EpochRecord[]; evaluation: TaskEvaluation | null };
  baseline: StudentMetrics;
  /** Of the first loss. */
  distilled: StudentMetrics;
  /**
   * The task's first figure, such as accuracy, of distilled minus baseline: on the test set with the best epoch's
   * weights, which the answer rests on, and with the last one's; and on the validation set, which chose the best epoch,
   * over the seeds alone.
   */
  difference: { best: CrossedDifference; last: CrossedDifference; validation: PairedDifference };
  /**
   * Of a classification: what distilling changes beside its figures, with the best epoch's weights; null of another
   * task.
   */
  changes: ComparedBehaviour | null;
  /**
   * Every loss, or every loss with the teacher as it is and calibrated, side by side, with p values corrected for their
   * number.
   */
  methods: Method[];
  /** The data-size curve, the smallest fraction first; absent: none was asked for. */
  fractions?: readonly FractionMetrics[];
  /** All that the numbers follow from. */
  config: Readonly<Record<string, unknown>>;
}

/** Students of a fraction of the training data: a point of the data-size curve. */
export interface FractionMetrics {
  fraction: number;
  /** How many samples that is. */
  samples: number;
  /** With the weights of the best epoch, on the test set. */
  baseline: MetricStats;
  distilled: MetricStats;
  /** The task's first figure of distilled minus baseline. */
  difference: CrossedDifference;
}

/**
 * By how much the chosen point of a sweep leads another one, over the seeds; corrected for every pair of points, of
 * which the chosen one's were to come out largest.
 */
export type Lead = PairedDifference & Corrected;

/** What several seeds say of a sweep's point: its figure on the validation set, in the best epochs. */
export interface PointSpread {
  figure: SampleStats;
  /** By seed: the best weights. */
  files: string[];
  /** By how much the chosen point's figure exceeds this one's, with the same seeds; null for the chosen point. */
  lead: Lead | null;
}

/** One point of a sweep. */
export interface SweepPoint {
  temperature: number;
  alpha: number;
  /**
   * The figure that points are compared by, on the validation set, best epoch, the mean over the seeds:
   * `validationAccuracy` of a classification.
   */
  [metric: `validation${string}`]: number;
  /** The mean over the seeds; null if the teacher does not know the validation set. */
  agreement: number | null;
  /** Of the first seed, as `history` and `file`. */
  bestEpoch: number;
  history: EpochRecord[];
  file: string;
  /** With several seeds. */
  spread?: PointSpread;
}

/** What `sweep` finds: every temperature with every alpha, chosen by the validation set. */
export interface SweepResult {
  kind: "sweep";
  data: CompareResult["data"];
  /** Of each point's students. */
  seeds: number[];
  /** What the loss reads of the two; one that it does not read has its default. Absent: both. */
  swept?: readonly ("temperature" | "alpha")[];
  temperatures: number[];
  alphas: number[];
  /** Row by row: temperatures, then alphas. */
  points: SweepPoint[];
  /** The point that is best on the validation set, with its test figures, read once at the end. */
  best: SweepPoint & {
    /** Of the first seed. */
    evaluation: TaskEvaluation;
    /** The test figures over the seeds, if there are several. */
    test?: MetricStats;
  };
  teacher: Omit<CompareResult["teacher"], "history">;
  sizes: CompareResult["sizes"];
  config: Readonly<Record<string, unknown>>;
}

/** Refuses a teacher's file that other weights are in than those that the students learned from. */
export async function expectUnchanged({ source, file }: TrainedTeacher): Promise<void> {
  if (file === null || !(source instanceof Module)) return;
  if (fingerprint(await load(file, { allowNonFinite: true })) === fingerprint(source.stateDict())) return;
  throw new DistilleryError("BAD_CHECKPOINT", `${file}: changed while the students were trained: run it again`);
}

/** The size of a network of Distillery's; null for another teacher. */
export async function sizeOfTeacher({ source, file }: TrainedTeacher, data: Dataset): Promise<NetworkSize | null> {
  return source instanceof Module && file !== null ? measureSize(source, file, data) : null;
}

/** The size of a network and of its file, and its speed in this process. */
export async function measureSize(model: Module, file: string, data: Dataset): Promise<NetworkSize> {
  // Another program may have changed it meanwhile: its size would be that of something else.
  await load(file, { allowNonFinite: true });
  const { size } = await stat(file);
  return {
    parameters: model.parameterCount(),
    bytes: size,
    latencyMs: measureLatency(model, data),
    throughput: measureThroughput(model, data),
  };
}
