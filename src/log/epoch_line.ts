import { percent } from "./percent.js";

/** What a run tells of an epoch. */
export interface EpochRecord {
  /** From 1. */
  epoch: number;
  epochs: number;
  /** The mean of the batches' losses. */
  loss: number;
  /** Of a distillation: the means of the loss's two parts, before they are weighted. */
  soft?: number;
  hard?: number;
  /** With a validation set, after the epoch: mean cross-entropy, share that is classified right. */
  validationLoss?: number;
  validationAccuracy?: number;
  /** Of a distillation with a validation set: the share of it that student and teacher classify alike. */
  agreement?: number;
  /** The learning rate after the epoch's last step. */
  lr: number;
  seconds: number;
  samplesPerSecond: number;
}

/** Every figure of an epoch, in the order in which tables have them. */
export const EPOCH_FIGURES = Object.keys({
  epoch: true,
  epochs: true,
  loss: true,
  soft: true,
  hard: true,
  validationLoss: true,
  validationAccuracy: true,
  agreement: true,
  lr: true,
  seconds: true,
  samplesPerSecond: true,
} satisfies Record<keyof EpochRecord, true>) as readonly (keyof EpochRecord)[];

/**
 * The script's line of an epoch; with a validation set it goes on with what was found there.
 *
 * @example
 * ```ts
 * formatEpoch("KD Loss", record); // "Epoch [1/150] | KD Loss: 0.9846 | LR: 0.000031"
 * formatEpoch("KD Loss", validated); // "... | LR: 0.000031 | Validation: 88.12% | Agreement: 95.40%"
 * ```
 */
export function formatEpoch(lossName: string, record: EpochRecord): string {
  const { epoch, epochs, loss, lr, validationAccuracy, agreement } = record;
  const parts = [`Epoch [${epoch}/${epochs}]`, `${lossName}: ${loss.toFixed(4)}`, `LR: ${lr.toFixed(6)}`];
  if (validationAccuracy !== undefined) parts.push(`Validation: ${percent(validationAccuracy)}`);
  if (agreement !== undefined) parts.push(`Agreement: ${percent(agreement)}`);
  return parts.join(" | ");
}
