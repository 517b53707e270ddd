import { showCount } from "../show.js";
import { epochKey, type Metric, showMetric, testKey } from "../tasks/metrics.js";
import { formatTable } from "./table.js";

/** A network that was trained, with the task's figures by their names, as `testAccuracy`. */
interface NetworkRow {
  readonly name: string;
  readonly network: string;
  /** Undefined: not of interest. */
  readonly parameters?: number;
  readonly [metric: string]: unknown;
}

/** What several networks of one call came to, a network a row. */
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
