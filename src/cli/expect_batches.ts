import type { Dataset } from "../data/dataset.js";
import type { DistillationLoss, LossSpec } from "../losses/index.js";
import { BatchNorm, BatchNorm1d } from "../nn/batch_norm.js";
import type { Module } from "../nn/module.js";
import { Generator } from "../tensor/random.js";
import type { ResolvedTraining } from "../train/options.js";
import { type LossUse, resolveLoss, tapShapeOf } from "../train/resolve_loss.js";
import { UsageError } from "./error_boundary.js";

type BatchOptions = Pick<ResolvedTraining, "batchSize" | "dropLast" | "shards" | "batchNorm"> & {
  teacherMode?: "train" | "eval";
};

/** Refuses batches of one sample, with shards also shards of one, which BatchNorm in train mode can't take, before anything runs. */
export function expectBatches(network: Module, options: BatchOptions, data: Dataset): void {
  const issue = singleIn(options, data.length, "BatchNorm");
  if (issue !== null && hasBatchNorm(network, BatchNorm1d)) throw new UsageError(issue);
}

/** {@link expectBatches} for the modules of a loss. */
export async function expectLossBatches(
  loss: LossSpec | undefined,
  use: Omit<LossUse, "generator" | "labelSmoothing">,
  options: BatchOptions,
): Promise<void> {
  if (loss === undefined || singleIn(options, use.data.length, "BatchNorm") === null) return;
  const resolved = await resolveLoss(loss, { ...use, labelSmoothing: 0, generator: new Generator() });
  const issue = singleIn(options, use.data.length, `BatchNorm of the loss ${resolved.name}`);
  if (issue !== null && normalizesSingles(resolved, use)) throw new UsageError(issue);
}

/** What is wrong with the run's batches if one of them, or one of their shards, has one sample; else null. */
function singleIn(options: BatchOptions, samples: number, what: string): string | null {
  const { batchSize, shards, dropLast, batchNorm, teacherMode } = options;
  const ofBatch = batchNorm === "batch";
  const size = ofBatch ? batchSize : batchSize / shards;
  const rest = dropLast ? 0 : samples % batchSize;
  const cannot = `of one sample, which ${what} can't take`;
  // Only for the student: a teacher in train mode has statistics of each shard.
  const together = teacherMode === "train" ? "" : "--batch-norm batch normalises over all shards";
  if (size === 1) {
    if (batchSize === 1) return `--batch-size: 1 makes batches ${cannot}: give at least 2`;
    const advice = together || `give at most ${batchSize / 2}`;
    return `--shards: ${shards} of batches of ${batchSize} makes shards ${cannot}: ${advice}`;
  }
  if (rest % size !== 1) return null;
  if (rest === 1) {
    const text = `${batchSize} leaves a last batch of one of ${samples} samples, which ${what} can't take`;
    return `--batch-size: ${text}: --drop-last leaves it out`;
  }
  const text = `${shards} leaves a last shard of one of the last batch's ${rest} samples, which ${what} can't take`;
  return `--shards: ${text}: --drop-last leaves the batch out${together && `, ${together}`}`;
}

function hasBatchNorm(module: Module, kind: typeof BatchNorm): boolean {
  return module instanceof kind || module.namedChildren().some(([, child]) => hasBatchNorm(child, kind));
}

/** Whether a loss's modules may normalise one number of each sample: images of several positions have more. */
function normalizesSingles(
  { modules = {}, taps = {} }: DistillationLoss,
  use: Pick<LossUse, "student" | "teacher" | "data">,
) {
  const all = Object.values(modules);
  if (all.some((module) => hasBatchNorm(module, BatchNorm1d))) return true;
  if (!all.some((module) => hasBatchNorm(module, BatchNorm))) return false;
  return (["student", "teacher"] as const).some((network) =>
    (taps[network] ?? []).some((path) => {
      const [, ...positions] = tapShapeOf(use[network], use.data, network, path);
      return positions.every((length) => length === 1);
    }),
  );
}
