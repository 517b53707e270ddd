import type { EpochRecord } from "../../log/epoch_record.js";
import { type Metric, metricOfKey } from "../../tasks/metrics.js";
import type { Line, Point } from "./line_chart.js";

/** The name of a value in an epoch's record: a metric's, a loss, or the learning rate. */
export type MetricKey = string;

/** The metrics that the loss itself reported, beside its value, in the order of the first record that has them. */
export function lossMetrics(history: readonly EpochRecord[]): MetricKey[] {
  const names = new Set(history.flatMap(({ metrics }) => Object.keys(metrics)));
  // Validation adds the loss on the validation set and the task's figures, of each student if there are several.
  return [...names].filter((name) => !["loss", "validationLoss"].includes(name) && metricOf(name).metric === null);
}

/**
 * The metric of a key, and whose it is: `student-1.validationAccuracy` is the accuracy of `student-1`; null if it is
 * none.
 */
export function metricOf(
  key: MetricKey,
  metrics?: EpochRecord["metrics"],
): { metric: Metric | null; of: string | null } {
  const at = key.lastIndexOf(".");
  return { metric: metricOfKey(key.slice(at + 1), metrics), of: at < 0 ? null : key.slice(0, at) };
}

type LineStyle = Omit<Line, "points">;

/** How the lines of each network look, in every chart. */
export const NETWORK_STYLES = {
  teacher: { colour: "--teacher", dash: "dashed" },
  baseline: { colour: "--baseline", dash: "dotted" },
  student: { colour: "--student", dash: "solid" },
} as const;

/** A metric over the epochs of one run; nothing if no epoch has it. */
export function lineOf(history: readonly EpochRecord[], key: MetricKey, style: LineStyle): Line[] {
  const points = pointsOf(history, key);
  return points.length === 0 ? [] : [{ ...style, points }];
}

/** A metric over the epochs of several runs: each thin, and their mean, over the epochs that all of them have. */
export function linesOf(
  histories: readonly (readonly EpochRecord[])[],
  key: MetricKey,
  style: LineStyle,
  seeds: readonly number[],
): Line[] {
  const all = histories.map((history) => pointsOf(history, key)).filter((points) => points.length > 0);
  const [first] = all;
  if (first === undefined) return [];
  if (all.length === 1) return [{ ...style, points: first }];
  const each = all.map((points, i) => ({ ...style, name: `${style.name}, seed ${seeds[i]}`, points, faint: true }));
  return [...each, { ...style, name: `${style.name}, mean`, points: meanOf(all) }];
}

function pointsOf(history: readonly EpochRecord[], key: MetricKey): Point[] {
  return history.flatMap((record): Point[] => {
    const value = key === "lr" ? record.lr : record.metrics[key];
    return typeof value === "number" ? [[record.epoch, value]] : [];
  });
}

function meanOf(all: readonly (readonly Point[])[]): Point[] {
  const shortest = Math.min(...all.map(({ length }) => length));
  return Array.from({ length: shortest }, (_, i): Point => {
    const at = all.map((points) => points[i]);
    return [at[0][0], at.reduce((sum, [, value]) => sum + value, 0) / at.length];
  });
}

/** The smallest and the largest of any number of values: a call takes fewer arguments than a long run has steps. */
export function rangeOf(values: readonly number[]): [least: number, most: number] {
  return values.reduce<[number, number]>(
    ([least, most], x) => [Math.min(least, x), Math.max(most, x)],
    [Infinity, -Infinity],
  );
}
