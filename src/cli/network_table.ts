import { showCount } from "../show_count.js";
import { epochMetric, type Figure, showFigure, testMetric } from "../tasks/figures.js";
import { formatTable } from "./table.js";

/** A network that was trained, with the task's figures by their names, as `testAccuracy`. */
interface NetworkRow {
  readonly name: string;
  readonly network: string;
  /** Undefined: not of interest. */
  readonly parameters?: number;
  readonly [figure: string]: unknown;
}

/** What several networks of one call came to, a network a row. */
export function networkTable(figure: Figure, rows: readonly NetworkRow[]): string {
  const shown = (value: unknown) => (typeof value === "number" ? showFigure(figure, value) : "");
  return formatTable([
    ["", "network", "parameters", "validation", "test"],
    ...rows.map(({ name, network, parameters, ...figures }) => [
      ...[name, network, parameters === undefined ? "" : showCount(parameters)],
      ...[shown(figures[epochMetric(figure)]), shown(figures[testMetric(figure)])],
    ]),
  ]);
}
