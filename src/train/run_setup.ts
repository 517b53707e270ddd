import { expectInteger, expectShape } from "../checks.js";
import type { Dataset } from "../data/dataset.js";
import { DistilleryError } from "../errors.js";
import type { EpochRecord, Metrics } from "../log/epoch_record.js";
import type { Mode } from "../nn/modes.js";
import type { Module } from "../nn/module.js";
import type { BestWeights } from "./best.js";
import type { RunControls } from "./controls.js";
import type { ResolvedTraining } from "./options.js";

/** What a training loop is made of. */
export interface RunSetup {
  command: string;
  model: Module;
  /** A module beside it whose buffers move with the run. */
  moving: Module | null;
  /** The networks' modes in a step; between steps they are in those of whoever called. */
  modes: readonly Mode[];
  data: Dataset;
  /** Looked at after each epoch; null: none. */
  validation: Dataset | null;
  /** Whom the validation compares with, and whether it stays the same. */
  teacher: { module: Module; frozen: boolean } | null;
  options: ResolvedTraining;
  /** More that decides the numbers, for `config.json`; asked for only where there is one. */
  config: () => Readonly<Record<string, unknown>>;
  controls: RunControls;
}

/** What a step gives: its loss, the loss's parts where there are any, and the gradient's norm before it was clipped. */
export interface StepResult {
  losses: Metrics;
  gradNorm: number;
}

/** What a whole run gives. */
export interface RunResult {
  /** A record an epoch, those from before it was resumed included. */
  history: EpochRecord[];
  /** The files of weights that were written: the last ones, and the best on the validation set where there is one. */
  files: string[];
  /** The epoch that did best on the validation set, with its weights; null without one. */
  best: BestWeights | null;
  /** Whether it ended before its last epoch, because its patience did. */
  stoppedEarly: boolean;
}

/** Refuses controls out of range, and a validation set that is missing or does not fit. */
export function expectSetup({ data, validation, options, controls }: RunSetup): void {
  const { checkpointEvery, keepCheckpoints } = controls;
  if (typeof checkpointEvery === "object") expectInteger("checkpointEvery.steps", checkpointEvery.steps, 1);
  else if (checkpointEvery !== undefined) expectInteger("checkpointEvery", checkpointEvery, 1);
  if (keepCheckpoints !== undefined) expectInteger("keepCheckpoints", keepCheckpoints, 1);
  if (validation !== null) {
    expectShape("validation", [validation.features, validation.classes], [data.features, data.classes]);
  } else if (options.patience !== null) {
    throw new DistilleryError("BAD_ARGUMENT", "patience: needs a validation set to tell which epoch is better");
  }
}
