import { join } from "node:path";
import { NOTHING_TO_RESUME } from "../checkpoint/run_directory.js";
import type { Dataset } from "../data/index.js";
import { DistilleryError } from "../errors.js";
import type { EpochRecord, Metrics } from "../log/epoch_record.js";
import type { LossSpec } from "../losses/index.js";
import { Module } from "../nn/module.js";
import type { Teacher } from "../teachers/index.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { type BestEpoch, distill, type RunControls, type RunResult, trainTeacher } from "../train/index.js";
import type { ResolvedDistillation } from "../train/options.js";
import { RUN_FINISHED } from "../train/trainer.js";
import { type SplitLogits, taught } from "./external_teacher.js";
import { fractionOf } from "./task.js";

/** One training run of a student. */
export interface Trial {
  /** Its folder below `out`, such as `seed-0/distilled`. */
  readonly name: string;
  /** `baseline` learns from the labels only, `distilled` from the teacher too. */
  readonly kind: "baseline" | "distilled";
  readonly seed: number;
  readonly options: ResolvedDistillation;
  /** Null: the loss of the options' temperature and alpha. */
  readonly loss: LossSpec | null;
  /** Of the training data; default: all of them. */
  readonly fraction?: number;
  /** As `distill` takes it. */
  readonly calibrateTeacher?: boolean;
  /** Whether the loss reads the teacher's logits and nothing else of it; default: not. */
  readonly usesCachedLogits?: boolean;
}

/** The result of a trial; its weights are in files. */
export interface Outcome {
  readonly history: EpochRecord[];
  /** The epoch that did best on the validation set. */
  readonly best: BestEpoch;
  /** The `.safetensors` files of the weights of the best and of the last epoch. */
  readonly files: { best: string; last: string };
}

/** How far a run is. */
export interface TrialProgress {
  /** Steps done. */
  step: number;
  /** From 1. */
  epoch: number;
  epochs: number;
  /** Of the last step. */
  loss: number;
  /** The metrics of the last epoch that ended, as its record has them; empty before. */
  metrics: Metrics;
}

/** What tells how far a run is, after each step. */
export function reporting(
  onStep: (progress: TrialProgress) => void,
  epochs: number,
): Pick<RunControls, "onStep" | "onEpoch"> {
  let metrics: Metrics = {};
  return {
    onStep: ({ step, epoch, metrics: { loss = Number.NaN } }) => onStep({ step, epoch, epochs, loss, metrics }),
    onEpoch: (record) => {
      metrics = record.metrics;
    },
  };
}

/** Runs trials, one at a time. */
export interface TrialRunner {
  /** Runs a trial, or takes it as it is if it has finished; `onStep` is told how far it is. */
  train(trial: Trial, signal: AbortSignal, onStep: (progress: TrialProgress) => void): Promise<Outcome>;
  /** Ends the process that it runs in, if it has one of its own. */
  close(): void;
}

/** What all trials have in common. */
interface TrialSetting {
  /** The experiment's folder. */
  out: string;
  student: () => Module;
  data: Dataset;
  validation: Dataset;
  /** Trained. */
  teacher: Module | Teacher;
  /** Its logits; null if they cannot be cached, or a loss reads more of it or less. */
  logits: SplitLogits | null;
  /** `distill`'s option of that name, for each run. */
  keepCheckpoints: number;
  onNote: (text: string) => void;
}

/** Runs trials in this process. */
export class InProcessRunner implements TrialRunner {
  constructor(private readonly shared: TrialSetting) {}

  async train(trial: Trial, signal: AbortSignal, onStep: (progress: TrialProgress) => void): Promise<Outcome> {
    const { out, student, data: all, validation, teacher, logits, keepCheckpoints, onNote } = this.shared;
    const isWhole = trial.fraction === undefined;
    const data = isWhole ? all : fractionOf(all, trial.fraction);
    // The logits of a part of the data are computed by its run.
    const known = (isWhole && trial.usesCachedLogits && logits) || null;
    const source = known === null || teacher instanceof Module ? teacher : taught(teacher.name, known);
    const controls: RunControls = {
      ...resuming(join(out, trial.name), onNote),
      metadata: { seed: trial.seed },
      keepCheckpoints,
      signal,
      ...reporting(onStep, trial.options.epochs),
    };
    // The same seed gives baseline and distilled student the same initial weights and the same order of batches.
    const result = await withGenerator(new Generator(trial.seed), () => {
      const model = student();
      const common = { data, validation, ...controls };
      return trial.kind === "baseline"
        ? trainTeacher({ ...common, ...ofTraining(trial.options), model, name: "student" })
        : distill({
            ...common,
            ...trial.options,
            teacher: source,
            student: model,
            ...(isWhole && source instanceof Module && { teacherCache: known?.training ?? false }),
            calibrateTeacher: trial.calibrateTeacher ?? false,
            loss: trial.loss ?? undefined,
          });
    });
    return outcomeOf(result);
  }

  close(): void {}
}

/** Controls that resume the run in a folder; not noted is that it has not begun, or that it is finished. */
export function resuming(out: string, onNote: (text: string) => void): RunControls {
  const dropped = [NOTHING_TO_RESUME, RUN_FINISHED].map((text) => `${out}: ${text}`);
  return { out, resume: true, onNote: (text) => !dropped.includes(text) && onNote(text) };
}

/** The options without those of distillation. */
export function ofTraining({ temperature: _, alpha: __, teacherMode: ___, ...options }: ResolvedDistillation) {
  return options;
}

/** The outcome of a run that had a validation set and a folder. */
export function outcomeOf({ history, best, files }: RunResult): Outcome {
  if (best === null) throw new DistilleryError("INTERNAL", "a run with a validation set has no best epoch");
  const { state: _, ...epoch } = best;
  const [last, bestFile] = files.filter((file) => file.endsWith(".safetensors"));
  return { history, best: epoch, files: { best: bestFile, last } };
}
