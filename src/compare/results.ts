import { stat } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { fingerprint, load } from "../checkpoint/index.js";
import type { Dataset } from "../data/index.js";
import { hasTargets, type TaskName } from "../data/task_name.js";
import { DistilleryError } from "../errors.js";
import type { EpochRecord } from "../log/epoch_record.js";
import { Module } from "../nn/module.js";
import { evaluateOutputs, taskOf } from "../tasks/index.js";
import { metricsOf, type TaskEvaluation } from "../tasks/metrics.js";
import type { Tensor } from "../tensor/tensor.js";
import { logitsOf, measureLatency, measureThroughput } from "../train/index.js";
import type { ScaledCalibration } from "./calibration.js";
import type { CorrectedDifference, CrossedDifference } from "./crossed_difference.js";
import type { ExternalTeacher } from "./external_teacher.js";
import { type Fidelity, fidelityOf, spreadOf } from "./fidelity.js";
import type { PointSpread } from "./point_spread.js";
import type { ClassDifference, Flips } from "./sample_changes.js";
import { type PairedDifference, type SampleStats, sampleStats } from "./statistics.js";
import type { TrainedTeacher } from "./teacher.js";
import type { Outcome } from "./trial.js";

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

/** The task's figures by their names: of a classification `accuracy`, `agreement` and `calibrationError`. One that is not known is left out. */
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
  /** What tells it from the others: its loss, and `, calibrated teacher` beside the same loss without. */
  name: string;
  /** As it was given: `cross-entropy + dkd(warmup=20)`. */
  loss: string;
  /** Whether the teacher's logits were scaled to fit the validation set. */
  calibrateTeacher: boolean;
  best: StudentMetrics["best"];
  last: StudentMetrics["last"];
  /** By seed: the best weights. */
  files: string[];
  /** The task's first figure, such as accuracy, less that of the baseline. */
  difference: { best: CorrectedDifference; last: CorrectedDifference };
  /**
   * The same less that of the first method; null for that one. `others`: the other figures with the best epoch's weights, such as
   * `calibrationError`, each by itself, with an interval for other seeds alone.
   */
  againstFirst: {
    best: CorrectedDifference;
    last: CorrectedDifference;
    others: Record<string, PairedDifference>;
  } | null;
}

/** How distilled students behave, beside how good they are. */
export interface ComparedBehaviour {
  /** On the test set and on the training data; null where the teacher does not know them, or they change at random. */
  fidelity: Record<"baseline" | "distilled", { test: Fidelity | null; training: Fidelity | null }>;
  /** Test samples on which the distilled student differs from the baseline, and from the teacher if it knows them. */
  flips: { baseline: Flips; teacher: Flips | null };
  perClass: ClassDifference[];
  /** On the test set, before and after temperature scaling; null for a teacher that does not know test and validation set. */
  calibration: Record<"baseline" | "distilled", ScaledCalibration> & { teacher: ScaledCalibration | null };
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
  /** Null: the file and size of one that is no network of Distillery's, the figures of one that does not know the test set. */
  teacher: { file: string | null; history: EpochRecord[]; evaluation: TaskEvaluation | null };
  baseline: StudentMetrics;
  /** Of the first loss. */
  distilled: StudentMetrics;
  /**
   * The task's first figure, such as accuracy, of distilled minus baseline: on the test set with the best epoch's weights, which
   * the answer rests on, and with the last one's; and on the validation set, which chose the best epoch, over the seeds alone.
   */
  difference: { best: CrossedDifference; last: CrossedDifference; validation: PairedDifference };
  /** Of a classification: what distilling changes beside its figures, with the best epoch's weights; null of another task. */
  changes: ComparedBehaviour | null;
  /** Every loss, or every loss with the teacher as it is and calibrated, side by side, with p values corrected for their number. */
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

/** One point of a sweep. */
export interface SweepPoint {
  temperature: number;
  alpha: number;
  /** The figure that points are compared by, on the validation set, best epoch, the mean over the seeds: `validationAccuracy` of a classification. */
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
  /** Of each point's students; the teacher is trained with the first one. */
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

/** A teacher's logits for the test set, computed once all training is done; null if it knows none. */
export async function testLogitsOf(
  { source }: TrainedTeacher,
  external: ExternalTeacher | null,
  test: Dataset,
  signal: AbortSignal,
): Promise<Tensor | null> {
  if (external !== null) return external.testLogits(test, signal);
  return source instanceof Module ? logitsOf(source, test) : null;
}

/** A student on the test set. */
interface Examined {
  evaluation: TaskEvaluation;
  /** By sample, if the task's first figure is their mean. */
  scores: ArrayLike<number> | null;
  /** With the teacher; null without its logits, and if the samples have no classes. */
  fidelity: ReturnType<typeof fidelityOf> | null;
}

/** The figures of one way to train, and the scores of the test samples by seed. */
export interface ExaminedStudents {
  figures: StudentMetrics;
  /** Null if the task's first figure is no mean over samples. */
  scores: Record<"best" | "last", ArrayLike<number>[]> | null;
  /** How well the best weights follow the teacher on the test set; null without its logits, and if the samples have no classes. */
  fidelity: Fidelity | null;
}

/** Evaluates on the test set, after all training is done. */
export class TestEvaluator {
  readonly teacherEvaluation: TaskEvaluation | null;

  constructor(
    private readonly test: Dataset,
    private readonly teacherLogits: Tensor | null,
    /** Takes the weights of one file after the other. */
    private readonly student: Module,
    private readonly signal: AbortSignal,
  ) {
    this.teacherEvaluation = teacherLogits && evaluateOutputs(teacherLogits, test);
  }

  /** The student's figures with the weights of a file. */
  async evaluate(file: string): Promise<Examined> {
    await setImmediate();
    if (this.signal.aborted) throw new DistilleryError("ABORTED", "stopped while the test set was read");
    this.student.loadStateDict(await load(file));
    const logits = logitsOf(this.student, this.test);
    const scores = taskOf(this.test).scores?.(logits, this.test) ?? null;
    const { teacherLogits } = this;
    return {
      evaluation: evaluateOutputs(logits, this.test, teacherLogits ?? undefined),
      scores,
      fidelity: teacherLogits === null || hasTargets(this.test) ? null : fidelityOf(logits, teacherLogits),
    };
  }

  /** The figures of several evaluations, as they spread. */
  spreads(evaluations: readonly TaskEvaluation[]): MetricStats {
    const all = metricsOf(this.test).flatMap((metric): [string, SampleStats][] => {
      const values = evaluations.map((evaluation) => metric.of(evaluation));
      const isKnown = values.every((value): value is number => value !== undefined);
      return isKnown ? [[metric.name, sampleStats(values as number[])]] : [];
    });
    return Object.fromEntries(all);
  }
}

/** Refuses a teacher's file that other weights are in than those that the students learned from. */
export async function expectUnchanged({ source, file }: TrainedTeacher): Promise<void> {
  if (file === null || !(source instanceof Module)) return;
  if (fingerprint(await load(file, { allowNonFinite: true })) === fingerprint(source.stateDict())) return;
  throw new DistilleryError("BAD_CHECKPOINT", `${file}: changed while the students were trained: run it again`);
}

/** The figures of one way to train, over its trials. */
export async function aggregate(outcomes: readonly Outcome[], evaluator: TestEvaluator): Promise<ExaminedStudents> {
  const [best, last]: [Examined[], Examined[]] = [[], []];
  for (const { files } of outcomes) {
    best.push(await evaluator.evaluate(files.best));
    last.push(await evaluator.evaluate(files.last));
  }
  const evaluationsOf = (examined: readonly Examined[]) => examined.map(({ evaluation }) => evaluation);
  const scoresOf = (examined: readonly Examined[]) =>
    examined.flatMap(({ scores }) => (scores === null ? [] : [scores]));
  const figures = {
    best: {
      ...evaluator.spreads(evaluationsOf(best)),
      epoch: sampleStats(outcomes.map((outcome) => outcome.best.epoch)),
    },
    last: evaluator.spreads(evaluationsOf(last)),
    histories: outcomes.map(({ history }) => history),
    evaluations: evaluationsOf(best),
    files: outcomes.map(({ files }) => files.best),
  };
  const scores = { best: scoresOf(best), last: scoresOf(last) };
  const followed = best.flatMap(({ fidelity }) => (fidelity === null ? [] : [fidelity]));
  return {
    figures,
    scores: scores.best.length === outcomes.length ? scores : null,
    fidelity: followed.length === outcomes.length ? spreadOf(followed) : null,
  };
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
