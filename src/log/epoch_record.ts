import { badArgument, expectInteger } from "../checks.js";

/** Named numbers of a step or an epoch: what a loss reports, and what validation finds. */
export type Metrics = Readonly<Record<string, number>>;

/** What a run reports of an epoch. */
export interface EpochRecord {
  /** From 1. */
  epoch: number;
  epochs: number;
  /** The learning rate after the epoch's last step. */
  lr: number;
  /** That its steps took; its validation and checkpoint are not counted. */
  seconds: number;
  /** The training samples of the epoch by these seconds. */
  samplesPerSecond: number;
  /**
   * `loss`, and the loss's own metrics (of the default loss `soft` and `hard`, its two parts before they are weighted):
   * means over the epoch's batches. With a validation set also `validationLoss` and `validationAccuracy`, and in a
   * distillation `agreement`, the fraction of it that student and teacher classify alike.
   */
  metrics: Metrics;
}

/**
 * A record as one flat row, as `metrics.jsonl` and tables have it: its metrics beside its other numbers.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for what is no record.
 * @example
 * ```ts
 * const row = flattenRecord(record);
 * console.log(row.epoch, row.loss, row.lr);
 * ```
 */
export function flattenRecord(record: EpochRecord): Record<string, number> {
  expectRecord("record", record);
  const { epoch, epochs, metrics, ...rest } = record;
  return { epoch, epochs, ...metrics, ...rest };
}

/** The record of a row of `metrics.jsonl`; null for what is none. */
export function recordOfRow(row: unknown): EpochRecord | null {
  if (typeof row !== "object" || row === null) return null;
  const { epoch, epochs, lr, seconds, samplesPerSecond, ...metrics } = row as Record<string, number>;
  const own = { epoch, epochs, lr, seconds, samplesPerSecond };
  const isRecord = Object.values(own).every((value) => typeof value === "number");
  return isRecord ? { ...own, metrics } : null;
}

/** Refuses anything but an epoch record; `BAD_ARGUMENT`. */
export function expectRecord(name: string, record: EpochRecord): void {
  if (typeof record !== "object" || record === null) throw badArgument(name, "an epoch record", record);
  expectInteger(`${name}.epoch`, record.epoch, 1);
  const { metrics, ...fields } = record;
  if (typeof metrics !== "object" || metrics === null) throw badArgument(`${name}.metrics`, "named numbers", metrics);
  for (const [key, value] of [...Object.entries(fields), ...Object.entries(metrics)]) {
    if (typeof value !== "number") throw badArgument(`${name}.${key}`, "a number", value);
  }
}
