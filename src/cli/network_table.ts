import { showCount } from "../show.js";
import { epochKey, type Metric, showMetric, testKey } from "../tasks/metrics.js";
import { formatTable } from "./table.js";

/** A trained network with the task's metrics by name, such as `testAccuracy`. */
interface NetworkRow {
  readonly name: string;
  readonly network: string;
  /** Undefined: not shown. */
  readonly parameters?: number;
  readonly [metric: string]: unknown;
}

/** The results of several networks of one call, with a row per network. */
export function networkTable(metric: Metric, rows: readonly NetworkRow[]): string {
  const shown = (value: unknown) => (typeof value === "number" ? showMetric(metric, value) : "");
  return formatTable([
    ["", "network", "parameters", "validation", "test"],
    ...rows.map(({ name, network, parameters, ...figures }) => [
      name,
      network,
      parameters === undefined ? "" : showCount(parameters),
      shown(figures[epochKey(metric)]),
      shown(figures[testKey(metric)]),
    ]),
  ]);
}
