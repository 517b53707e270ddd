import { h } from "../../page/dom.js";
import { metricCurve } from "../../report/page/curves.js";
import { type LiveChart, liveChart } from "../../report/page/line_chart.js";
import { lineOf } from "../../report/page/series.js";
import type { ShownRun } from "./runs.js";

/** First of all, in this order. */
const FIRST = ["validationAccuracy", "validationLoss", "loss"];

/** A chart for each metric, with the lines of all shown runs over each other. */
export class Curves {
  readonly #charts = new Map<string, LiveChart>();
  readonly #grid = h("div", { class: "figures small" });
  readonly #hint = h("p", { class: "lead" }, "Choose a run that has finished an epoch to see its curves.");
  readonly element = h("div", {}, this.#hint, this.#grid);

  update(shown: readonly ShownRun[]): void {
    this.#hint.hidden = shown.length > 0;
    const metrics = shownMetrics(shown);
    for (const metric of this.#charts.keys()) {
      if (metrics.includes(metric)) continue;
      this.#charts.get(metric)?.element.remove();
      this.#charts.delete(metric);
    }
    const elements = metrics.map((metric) => this.#chart(metric, shown));
    const isSame = elements.every((element, i) => element === this.#grid.children[i]);
    if (!isSame) this.#grid.replaceChildren(...elements);
  }

  #chart(metric: string, shown: readonly ShownRun[]): HTMLElement {
    const lines = shown.flatMap(({ run, style }) => lineOf(run.records, metric, style));
    const record = shown.flatMap(({ run }) => run.records[0] ?? []).find(({ metrics }) => metric in metrics);
    const options = metricCurve(metric, record ?? { metrics: {} }, lines);
    const chart = this.#charts.get(metric);
    if (chart !== undefined) {
      chart.update(options);
      return chart.element;
    }
    const made = liveChart(options);
    this.#charts.set(metric, made);
    return made.element;
  }
}

/** What any of the runs reports, the learning rate last. */
function shownMetrics(shown: readonly ShownRun[]): string[] {
  const names = new Set(shown.flatMap(({ run }) => run.records.flatMap(({ metrics }) => Object.keys(metrics))));
  const known = FIRST.filter((name) => names.has(name));
  return shown.length === 0 ? [] : [...known, ...[...names].filter((name) => !FIRST.includes(name)), "lr"];
}
