import { expectOptions } from "../checks.js";
import { type EpochRecord, expectRecord } from "./epoch_record.js";

/** Metrics that the line shows in its own words. */
const SHOWN = new Set(["loss", "validationLoss", "validationAccuracy", "agreement"]);

/**
 * The reference script's line of an epoch; with a validation set, its accuracy and agreement follow. With `details` so do
 * the loss's own metrics.
 *
 * @example
 * ```ts
 * formatEpoch("KD Loss", record); // "Epoch [1/150] | KD Loss: 0.9846 | LR: 0.000031"
 * formatEpoch("KD Loss", validated); // "... | LR: 0.000031 | Validation: 88.12% | Agreement: 95.40%"
 * formatEpoch("Loss", record, { details: true }); // "... | LR: 0.000031 | soft: 0.8123 | hard: 1.2346"
 * ```
 * @throws DistilleryError `BAD_ARGUMENT` for what is no epoch record.
 */
export function formatEpoch(lossName: string, record: EpochRecord, options: { details?: boolean } = {}): string {
  expectRecord("record", record);
  expectOptions("formatEpoch", options, ["details"]);
  const { epoch, epochs, lr, metrics } = record;
  const { loss = Number.NaN, validationAccuracy, agreement } = metrics;
  const parts = [`Epoch [${epoch}/${epochs}]`, `${lossName}: ${loss.toFixed(4)}`, `LR: ${lr.toFixed(6)}`];
  if (options.details) {
    for (const [name, value] of Object.entries(metrics))
      if (!SHOWN.has(name)) parts.push(`${name}: ${value.toFixed(4)}`);
  }
  if (validationAccuracy !== undefined) parts.push(`Validation: ${percent(validationAccuracy)}`);
  if (agreement !== undefined) parts.push(`Agreement: ${percent(agreement)}`);
  return parts.join(" | ");
}

/** 0.9018 as 90.18%. */
export function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(2)}%`;
}
