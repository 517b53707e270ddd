import { expectOptions } from "../checks.js";
import { type Figure, figureOfMetric, showFigure } from "../tasks/figures.js";
import { type EpochRecord, expectRecord } from "./epoch_record.js";

/** Metrics that the line shows in its own words, or not at all. */
const SHOWN = new Set(["loss", "validationLoss"]);

/**
 * The reference script's line of an epoch; with a validation set, its figures such as accuracy and agreement follow. With `details` so do
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
  const { loss = Number.NaN } = metrics;
  const parts = [`Epoch [${epoch}/${epochs}]`, `${lossName}: ${loss.toFixed(4)}`, `LR: ${lr.toFixed(6)}`];
  if (options.details) {
    for (const [name, value] of Object.entries(metrics))
      if (!SHOWN.has(name) && figureOfMetric(name, metrics) === null) parts.push(`${name}: ${value.toFixed(4)}`);
  }
  for (const [name, value] of Object.entries(metrics)) {
    const figure = figureOfMetric(name, metrics);
    if (figure !== null) parts.push(`${titleOf(figure)}: ${showFigure(figure, value)}`);
  }
  return parts.join(" | ");
}

function titleOf({ name, label }: Figure): string {
  if (name === "agreement") return "Agreement";
  return name === "accuracy" ? "Validation" : `Validation ${label}`;
}

/** 0.9018 as 90.18%. */
export function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(2)}%`;
}
