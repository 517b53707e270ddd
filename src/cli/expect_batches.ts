import type { Dataset } from "../data/dataset.js";
import type { LossSpec } from "../losses/index.js";
import { fitTeacher } from "../models/fit_network.js";
import { Module } from "../nn/module.js";
import type { Issue } from "../registry/index.js";
import { Generator } from "../tensor/random.js";
import { type BatchOptions, singleFor, singleForLoss, singleIn } from "../train/batch_norms.js";
import type { DistillInput } from "../train/index.js";
import { type LossUse, resolveLoss } from "../train/resolve_loss.js";
import { UsageError } from "./error_boundary.js";
import { flagOf } from "./flag_names.js";

const NAMES = { dropLast: "--drop-last", batchNorm: "--batch-norm batch" };

/**
 * Before anything runs, refuses batches of one sample, and shards of one, which BatchNorm in train mode can't process.
 */
export function expectBatches(network: Module, options: BatchOptions, data: Dataset, whose?: string): void {
  const issue = singleFor(network, options, data, { names: NAMES, whose });
  if (issue !== null) throw refused(issue);
}

/** {@link expectBatches} for the modules of a loss. */
export async function expectLossBatches(
  loss: LossSpec | undefined,
  given: Omit<LossUse, "generator" | "labelSmoothing">,
  options: BatchOptions,
): Promise<void> {
  if (loss === undefined || singleIn(options, given.data.length, "BatchNorm") === null) return;
  // As the run reads its hidden layers.
  const use = { ...given, teacher: fitTeacher(given.teacher, given.data) };
  const resolved = await resolveLoss(loss, { ...use, labelSmoothing: 0, generator: new Generator() });
  const issue = singleForLoss(resolved, options, use, NAMES);
  if (issue !== null) throw refused(issue);
}

/**
 * {@link expectBatches} for everything in train mode: the student, the loss's modules, and the teacher if its mode is
 * train.
 */
export async function expectDistillationBatches(input: Distillation): Promise<void> {
  const { student, teacher, teacherMode, data, loss } = input;
  expectBatches(student, input, data);
  if (teacherMode === "train" && teacher instanceof Module) expectBatches(teacher, input, data, "the teacher");
  await expectLossBatches(loss, { student, teacher: teacher ?? null, data }, input);
}

type Distillation = BatchOptions & Pick<DistillInput, "student" | "teacher" | "teacherMode" | "data" | "loss">;

function refused({ path: [option], text }: Issue): UsageError {
  return new UsageError(`${flagOf(option)}: ${text}`);
}
