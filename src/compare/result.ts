import type { EpochRecord } from "../log/epoch_line.js";
import type { Evaluation } from "../train/index.js";

/** A figure over the seeds. */
export interface Spread {
  /** In the order of the seeds. */
  values: number[];
  mean: number;
  /** The sample's standard deviation; 0 for one value. */
  std: number;
}

/** The mean of differences between pairs, one a seed, with its confidence interval (Student's t). */
export interface PairedDifference extends Spread {
  /** Such as 0.95. */
  confidence: number;
  /** The interval; infinite with one seed, or where all are alike. */
  low: number;
  high: number;
  /** Two-sided, that the mean is 0. */
  pValue: number;
  /** Whether the interval leaves 0 out. */
  distinguishable: boolean;
}

/** What a network weighs and how fast it answers. */
export interface NetworkSize {
  parameters: number;
  /** Of its `.safetensors` file. */
  bytes: number;
  /** For one example, the median in milliseconds. */
  latencyMs: number;
  /** Examples a second in batches. */
  throughput: number;
}

/** One way to train the student, over all seeds; figures are of the test set, which was read once, at the end. */
export interface StudentFigures {
  /** With the weights of the epoch that was best on the validation set. */
  best: { accuracy: Spread; agreement: Spread; calibrationError: Spread; epoch: Spread };
  /** With the weights of the last epoch. */
  last: { accuracy: Spread; agreement: Spread; calibrationError: Spread };
  /** By seed. */
  histories: EpochRecord[][];
  /** By seed, best epoch. */
  evaluations: Evaluation[];
  /** By seed: the best weights. */
  files: string[];
}

/** What `compare` finds. */
export interface CompareResult {
  kind: "compare";
  data: { name: string; training: number; validation: number; test: number; features: number; classes: number };
  seeds: number[];
  /** The networks' sizes. */
  sizes: { teacher: NetworkSize; student: NetworkSize };
  teacher: { file: string; history: EpochRecord[]; evaluation: Evaluation };
  alone: StudentFigures;
  distilled: StudentFigures;
  /** Distilled less alone, in accuracy. */
  difference: { best: PairedDifference; last: PairedDifference };
  /** All that the numbers follow from. */
  config: Readonly<Record<string, unknown>>;
}

/** One point of a sweep. */
export interface SweepPoint {
  temperature: number;
  alpha: number;
  /** On the validation set, best epoch. */
  validationAccuracy: number;
  agreement: number;
  bestEpoch: number;
  history: EpochRecord[];
  file: string;
}

/** What `sweep` finds: every temperature with every alpha, chosen by the validation set. */
export interface SweepResult {
  kind: "sweep";
  data: CompareResult["data"];
  seed: number;
  temperatures: number[];
  alphas: number[];
  /** Row by row: temperatures, then alphas. */
  points: SweepPoint[];
  /** The point that is best on the validation set, with its test figures, read once at the end. */
  best: SweepPoint & { evaluation: Evaluation };
  teacher: { file: string; evaluation: Evaluation };
  sizes: CompareResult["sizes"];
  config: Readonly<Record<string, unknown>>;
}
