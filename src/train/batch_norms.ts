import type { Dataset } from "../data/dataset.js";
import type { DistillationLoss } from "../losses/index.js";
import { BatchNorm, BatchNorm1d } from "../nn/batch_norm.js";
import { Modes } from "../nn/modes.js";
import { Module } from "../nn/module.js";
import { hook } from "../nn/taps.js";
import type { Issue } from "../registry/index.js";
import type { ResolvedTraining, ShardOptions } from "./options.js";
import { type LossUse, tapShapeOf } from "./resolve_loss.js";

/** Options that determine how many samples normalise each other. */
export type BatchOptions = ShardOptions & Pick<ResolvedTraining, "dropLast">;

/** How advice in an error names these options. */
interface AdviceNames {
  readonly dropLast: string;
  readonly batchNorm: string;
}

const IN_PROGRAMS: AdviceNames = { dropLast: "dropLast: true", batchNorm: 'batchNorm: "batch"' };

/**
 * What is wrong with the run's batches if one of them, or one of their shards, has a single sample; otherwise null.
 * `what` names the module that can't process it.
 */
export function singleIn(
  { batchSize, shards, dropLast, batchNorm, teacherMode }: BatchOptions,
  samples: number,
  what: string,
  names = IN_PROGRAMS,
): Issue | null {
  const size = batchNorm === "batch" ? batchSize : batchSize / shards;
  const rest = dropLast ? 0 : samples % batchSize;
  const cannot = `of one sample, which ${what} can't take`;
  // Only for the student: a teacher in train mode uses the statistics of each shard.
  const together = teacherMode === "train" ? "" : `${names.batchNorm} normalises over all shards`;
  if (size === 1) {
    if (batchSize === 1) return { path: ["batchSize"], text: `1 makes batches ${cannot}: give at least 2` };
    const advice = together || `give at most ${batchSize / 2}`;
    return { path: ["shards"], text: `${shards} of batches of ${batchSize} makes shards ${cannot}: ${advice}` };
  }
  if (rest % size !== 1) return null;
  if (rest === 1) {
    const text = `${batchSize} leaves a last batch of one of ${samples} samples, which ${what} can't take`;
    return { path: ["batchSize"], text: `${text}: ${names.dropLast} leaves it out` };
  }
  const text = `${shards} leaves a last shard of one of the last batch's ${rest} samples, which ${what} can't take`;
  return { path: ["shards"], text: `${text}: ${names.dropLast} leaves the batch out${together && `, ${together}`}` };
}

/**
 * {@link singleIn} for a network with a BatchNorm that gets one number per sample; images with several positions have
 * more.
 *
 * @param whose how errors name the network, if it is not the one that is trained.
 */
export function singleFor(
  network: Module,
  options: BatchOptions,
  data: Dataset,
  { names = IN_PROGRAMS, whose }: { names?: AdviceNames; whose?: string } = {},
): Issue | null {
  const issue = singleIn(options, data.length, whose === undefined ? "BatchNorm" : `BatchNorm of ${whose}`, names);
  return issue !== null && normalizesSingles(network, data) ? issue : null;
}

/** {@link singleIn} for the modules of a loss. */
export function singleForLoss(
  loss: DistillationLoss,
  options: BatchOptions,
  use: Pick<LossUse, "student" | "teacher" | "data">,
  names = IN_PROGRAMS,
): Issue | null {
  const issue = singleIn(options, use.data.length, `BatchNorm of the loss ${loss.name}`, names);
  return issue !== null && lossNormalizesSingles(loss, use) ? issue : null;
}

/** Whether a loss's modules may normalise one number per sample. */
function lossNormalizesSingles(
  { modules = {}, taps = {} }: DistillationLoss,
  use: Pick<LossUse, "student" | "teacher" | "data">,
): boolean {
  const all = Object.values(modules).flatMap(batchNormsOf);
  if (all.some((module) => module instanceof BatchNorm1d)) return true;
  if (all.length === 0) return false;
  return (["student", "teacher"] as const).some((name) => {
    const network = use[name];
    // The taps of a teacher that is not a network are unknown until it returns them.
    if (!(network instanceof Module)) return false;
    return (taps[name] ?? []).some((path) => {
      const [, ...positions] = tapShapeOf(network, use.data, name, path);
      return positions.every((length) => length === 1);
    });
  });
}

function normalizesSingles(network: Module, data: Dataset): boolean {
  let isSingle = false;
  // Layers that the network's own `train()` leaves in eval mode accept any batch.
  const inTraining = new Modes([[network, true]]).run(() => batchNormsOf(network).filter(({ training }) => training));
  const restore = inTraining.map((module) =>
    hook(module, ({ shape: [, , ...positions] }) => {
      isSingle ||= positions.every((length) => length === 1);
    }),
  );
  if (restore.length === 0) return false;
  try {
    tapShapeOf(network, data, "network", "");
  } finally {
    for (const undo of restore) undo();
  }
  return isSingle;
}

/** The BatchNorm layers in a module. */
function batchNormsOf(module: Module): BatchNorm[] {
  return module.modules().filter((one) => one instanceof BatchNorm);
}

/** A note if `batchNorm` "batch" has no effect on the run; otherwise null. */
export function idleBatchNorm(network: Module, { shards, batchNorm }: BatchOptions): string | null {
  if (batchNorm !== "batch") return null;
  if (shards === 1) return 'batchNorm: "batch" changes nothing without shards: statistics are the whole batch\'s';
  return batchNormsOf(network).length > 0 ? null : 'batchNorm: "batch" changes nothing: the network has no BatchNorm';
}
