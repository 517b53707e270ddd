// What cells of tables hold.

import type { SampleStats } from "../../compare/statistics.js";
import { h } from "../../page/dom.js";
import { type Metric, showChange, showMetric } from "../../tasks/metrics.js";
import { changeOf, pValue } from "../text.js";

/** A metric's mean over the seeds with its standard deviation; nothing if it is not known. */
export function spreadCell(metric: Pick<Metric, "kind">, stats: SampleStats | undefined): HTMLElement | string {
  if (stats === undefined) return "";
  const small = stats.values.length < 2 ? "" : deviation(metric, stats);
  return h("span", {}, showMetric(metric, stats.mean), " ", h("small", {}, small));
}

export function deviation(metric: Pick<Metric, "kind">, { std }: SampleStats): string {
  return `\u00b1 ${showChange(metric, std)}`;
}

/** The interval of a difference. */
export function intervalCell(metric: Pick<Metric, "kind">, { low, high }: { low: number; high: number }): string {
  if (!isKnown(low) || !isKnown(high)) return "unknown";
  return `${changeOf(metric, low)} to ${changeOf(metric, high)}`;
}

/** A difference's p value; unknown if its interval is, an end of which is `low`. */
export function pCell(p: number, low: number | null): string {
  return isKnown(low) ? pValue(p).replace("= ", "") : "unknown";
}

/** JSON has no infinity: it arrives as null. */
export function isKnown(x: number | null): boolean {
  return Number.isFinite(x);
}
