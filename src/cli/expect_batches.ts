import type { Dataset } from "../data/dataset.js";
import type { DistillationLoss, LossSpec } from "../losses/index.js";
import { BatchNorm1d } from "../nn/batch_norm.js";
import type { Module } from "../nn/module.js";
import type { Issue } from "../registry/index.js";
import { Generator } from "../tensor/random.js";
import { type BatchOptions, batchNormsOf, singleFor, singleIn } from "../train/batch_norms.js";
import { type LossUse, resolveLoss, tapShapeOf } from "../train/resolve_loss.js";
import { UsageError } from "./error_boundary.js";
import { flagOf } from "./flag_names.js";

const NAMES = { dropLast: "--drop-last", batchNorm: "--batch-norm batch" };

/** Refuses batches of one sample, with shards also shards of one, which BatchNorm in train mode can't take, before anything runs. */
export function expectBatches(network: Module, options: BatchOptions, data: Dataset): void {
  const issue = singleFor(network, options, data, NAMES);
  if (issue !== null) throw refused(issue);
}

/** {@link expectBatches} for the modules of a loss. */
export async function expectLossBatches(
  loss: LossSpec | undefined,
  use: Omit<LossUse, "generator" | "labelSmoothing">,
  options: BatchOptions,
): Promise<void> {
  if (loss === undefined || singleIn(options, use.data.length, "BatchNorm") === null) return;
  const resolved = await resolveLoss(loss, { ...use, labelSmoothing: 0, generator: new Generator() });
  const issue = singleIn(options, use.data.length, `BatchNorm of the loss ${resolved.name}`, NAMES);
  if (issue !== null && normalizesSingles(resolved, use)) throw refused(issue);
}

function refused({ path: [option], text }: Issue): UsageError {
  return new UsageError(`${flagOf(option)}: ${text}`);
}

/** Whether a loss's modules may normalise one number of each sample: images of several positions have more. */
function normalizesSingles(
  { modules = {}, taps = {} }: DistillationLoss,
  use: Pick<LossUse, "student" | "teacher" | "data">,
) {
  const all = Object.values(modules).flatMap(batchNormsOf);
  if (all.some((module) => module instanceof BatchNorm1d)) return true;
  if (all.length === 0) return false;
  return (["student", "teacher"] as const).some((network) =>
    (taps[network] ?? []).some((path) => {
      const [, ...positions] = tapShapeOf(use[network], use.data, network, path);
      return positions.every((length) => length === 1);
    }),
  );
}
