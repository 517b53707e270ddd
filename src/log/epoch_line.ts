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

/**
 * The script's line of an epoch.
 *
 * @example
 * ```ts
 * formatEpoch("KD Loss", record); // "Epoch [1/150] | KD Loss: 0.9846 | LR: 0.000031"
 * ```
 */
export function formatEpoch(lossName: string, { epoch, epochs, loss, lr }: EpochRecord): string {
  return `Epoch [${epoch}/${epochs}] | ${lossName}: ${loss.toFixed(4)} | LR: ${lr.toFixed(6)}`;
}
