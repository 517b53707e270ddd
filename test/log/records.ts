import type { EpochRecord } from "../../src/index.js";

/** Records of a distillation with a validation set, figures that differ from epoch to epoch. */
export function records(count: number, from = 1): EpochRecord[] {
  return Array.from({ length: count }, (_, i) => {
    const epoch = from + i;
    return {
      epoch,
      epochs: 20,
      lr: 6e-4 / epoch,
      seconds: 10 + epoch,
      samplesPerSecond: 1000 * epoch,
      metrics: {
        loss: 2 / epoch,
        soft: 1 / epoch,
        hard: 3 / epoch,
        validationLoss: 1.5 / epoch,
        validationAccuracy: 1 - 0.5 / epoch,
        agreement: 1 - 0.25 / epoch,
      },
    };
  });
}

/** Of the training of a teacher without one. */
export const plain: EpochRecord = {
  epoch: 1,
  epochs: 2,
  lr: 3e-5,
  seconds: 0.5,
  samplesPerSecond: 2048,
  metrics: { loss: 0.75 },
};
