import { badArgument, expectInteger, expectOptions } from "../checks.js";
import { type Metric, metricOfKey, showMetric } from "../tasks/metrics.js";
import { type EpochRecord, expectRecord } from "./epoch_record.js";

/** Metrics that the line shows in its own words, or not at all. */
const SHOWN = new Set(["loss", "validationLoss"]);

/**
 * The reference script's line of an epoch; with a validation set, its figures such as accuracy and agreement follow.
 * With `details` so do the loss's own metrics. A line that is longer than `width` columns takes shorter words, then
 * leaves out the learning rate, then the details.
 *
 * @example
 * ```ts
 * formatEpoch("KD Loss", record); // "Epoch [1/150] | KD Loss: 0.9846 | LR: 0.000031"
 * formatEpoch("KD Loss", validated); // "... | LR: 0.000031 | Validation: 88.12% | Agreement: 95.40%"
 * formatEpoch("Loss", record, { details: true }); // "... | LR: 0.000031 | soft: 0.8123 | hard: 1.2346"
 * ```
 * @throws DistilleryError `BAD_ARGUMENT` for what is no epoch record.
 */
export function formatEpoch(
  lossName: string,
  record: EpochRecord,
  options: { details?: boolean; width?: number } = {},
): string {
  if (typeof lossName !== "string") throw badArgument("lossName", "a name", lossName);
  expectRecord("record", record);
  expectOptions("formatEpoch", options, ["details", "width"]);
  const { details: isDetailed = false, width = Infinity } = options;
  if (width !== Infinity) expectInteger("width", width, 1);
  const { epoch, epochs, lr, metrics } = record;
  const { loss = Number.NaN } = metrics;
  const start = [`Epoch [${epoch}/${epochs}]`, `${lossName}: ${loss.toFixed(4)}`];
  const rate = [`LR: ${lr.toFixed(6)}`];
  const named = Object.entries(metrics).map(([name, value]) => ({
    name,
    value,
    metric: metricOfKey(name, metrics),
  }));
  const details = named
    .filter(({ name, metric }) => isDetailed && !SHOWN.has(name) && metric === null)
    .map(({ name, value }) => `${name}: ${value.toFixed(4)}`);
  const figures = (isShort: boolean) =>
    named.flatMap(({ value, metric }) =>
      metric === null ? [] : [`${titleOf(metric, isShort)}: ${showMetric(metric, value)}`],
    );
  const forms = [
    [...start, ...rate, ...details, ...figures(false)],
    [...start, ...rate, ...details, ...figures(true)],
    [...start, ...details, ...figures(true)],
    [...start, ...figures(true)],
  ].map((parts) => parts.join(" | "));
  return forms.find((line) => line.length <= width) ?? (forms.at(-1) as string);
}

function titleOf({ name, label }: Metric, isShort: boolean): string {
  if (name === "agreement") return isShort ? "Agree" : "Agreement";
  const title = isShort ? "Val" : "Validation";
  return name === "accuracy" ? title : `${title} ${label}`;
}
