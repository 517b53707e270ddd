import { LineChart, type LineSeriesOption } from "echarts/charts";
import { GridComponent, TooltipComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { h } from "../../page/dom.js";
import { figure } from "./figure.js";
import { table } from "./table.js";

use([LineChart, GridComponent, TooltipComponent, SVGRenderer]);

/** A point: where, how high, and how large if sizes differ. */
export type Point = readonly [x: number, y: number, size?: number];

/** One line of a chart. */
export interface Line {
  name: string;
  points: readonly Point[];
  /** The name of a custom property of the style: it follows the theme. */
  colour: string;
  dash?: "solid" | "dashed" | "dotted";
  /** One of many: thin, and in the table only. */
  faint?: boolean;
  /** Without a place in the legend and the tooltip. */
  silent?: boolean;
}

/** An axis: how its numbers are written, and its ends if they are fixed. */
export interface Axis {
  name: string;
  /** Beside the axis. */
  format: (x: number) => string;
  /** The format of a value in the tooltip and the table; default: that of the axis. */
  exact?: (x: number) => string;
  min?: number;
  max?: number;
  /** The ends if all values are the same. */
  ofOne?: readonly [min: number, max: number];
  log?: boolean;
}

export interface LineChartOptions {
  title: string;
  description: string;
  lines: readonly Line[];
  x: Axis;
  y: Axis;
  className?: string;
}

/** What a chart shows, and what a newer one replaces. */
type Drawn = Pick<LineChartOptions, "description" | "lines" | "x" | "y">;

/** A chart whose lines can grow. */
export interface LiveChart {
  readonly element: HTMLElement;
  update(drawn: Drawn): void;
}

const FONT = getComputedStyle(document.documentElement).getPropertyValue("--font");
const SPLITS = 5;
const ON_PAPER = { width: 320, height: 190 };
const WIDE_ON_PAPER = { width: 640, height: 240 };
const MAX_POINTS_WITH_SYMBOLS = 24;

/** Lines over a common axis, with a legend, a tooltip and the table behind them. */
export function lineChart(options: LineChartOptions): HTMLElement {
  return liveChart(options).element;
}

/** A chart of a run that is not finished. */
export function liveChart({ title, className, ...first }: LineChartOptions): LiveChart {
  let drawn: Drawn = first;
  const image = h("div", { class: "plot" });
  let redraw = () => {};
  drawOnceShown(image, () => {
    redraw = draw(image, () => drawn);
  });
  const legend = h("ul", { class: "legend" });
  const fillLegend = () => {
    const named = drawn.lines.filter(({ faint, silent }) => !faint && !silent);
    legend.replaceChildren(...(named.length < 2 ? [] : named.map(legendEntry)));
    legend.hidden = named.length < 2;
  };
  fillLegend();
  const data = () => dataTable(title, drawn.lines, drawn.x, drawn.y);
  const element = figure({ title, description: first.description, image, legend, data, className });
  return {
    element,
    update(next) {
      drawn = next;
      redraw();
      fillLegend();
      element.querySelector("figcaption > .note")?.replaceChildren(next.description);
      element.querySelector("details > .scroll")?.replaceWith(data());
    },
  };
}

function legendEntry({ name, colour, dash = "solid" }: Line): HTMLElement {
  return h("li", {}, h("span", { class: `swatch ${dash}`, "--colour": `var(${colour})`, "aria-hidden": "true" }), name);
}

/** Draws a chart; returns a function that draws it again. */
function draw(image: HTMLElement, drawn: () => Drawn): () => void {
  const chart = init(image, null, { renderer: "svg" });
  const redraw = () => chart.setOption(optionsOf(drawn()), { notMerge: true });
  redraw();
  const resized = (size: { width?: number | "auto"; height?: number | "auto" } = {}) => {
    chart.resize(size);
    // Draws at once: a page that is being printed draws no more frames.
    chart.getZr().flush();
    // With a viewBox the style can stretch it, as on paper.
    const svg = image.querySelector("svg");
    svg?.setAttribute("viewBox", `0 0 ${chart.getWidth()} ${chart.getHeight()}`);
  };
  new ResizeObserver(() => resized()).observe(image);
  addEventListener("beforeprint", () => resized(image.closest(".full-on-paper") ? WIDE_ON_PAPER : ON_PAPER));
  addEventListener("afterprint", () => resized({ width: "auto", height: "auto" }));
  return redraw;
}

function optionsOf({ lines, x, y }: Drawn) {
  const axis = {
    type: "value" as const,
    axisLine: { show: false },
    axisTick: { show: false },
    axisLabel: { color: "var(--muted)", fontSize: 12, fontFamily: FONT, hideOverlap: true },
    nameTextStyle: { color: "var(--muted)", fontSize: 12, fontFamily: FONT },
    splitNumber: SPLITS,
  };
  return {
    animation: false,
    textStyle: { fontFamily: FONT },
    grid: { left: 8, right: 14, top: 12, bottom: 26, containLabel: true },
    xAxis: {
      ...axis,
      ...ends(x),
      ...(x.log ? { type: "log" as const, logBase: 10 } : { minInterval: x.max === 1 ? 0 : 1 }),
      splitLine: { show: false },
      axisLine: { show: true, lineStyle: { color: "var(--line)" } },
      axisLabel: { ...axis.axisLabel, formatter: x.format },
      name: x.name,
      nameLocation: "middle",
      nameGap: 28,
    },
    yAxis: {
      ...axis,
      ...ends(y),
      type: y.log ? ("log" as const) : ("value" as const),
      scale: true,
      splitLine: { lineStyle: { color: "var(--hair)" } },
      axisLabel: { ...axis.axisLabel, formatter: y.format },
    },
    tooltip: {
      trigger: "axis",
      confine: true,
      renderMode: "html",
      className: "tooltip",
      backgroundColor: "var(--card)",
      borderColor: "var(--line)",
      padding: [8, 12],
      textStyle: { color: "var(--ink)", fontSize: 13, fontFamily: FONT },
      axisPointer: { type: "line", lineStyle: { color: "var(--muted)", type: "dotted" } },
      formatter: (shown: unknown) => tooltip(shown as Shown[], lines, x, y),
    },
    series: lines.map(seriesOf),
  };
}

function seriesOf({ name, points, colour, dash = "solid", faint = false, silent = false }: Line): LineSeriesOption {
  // One point makes no line.
  const withSymbols = !silent && (points.length === 1 || (!faint && points.length <= MAX_POINTS_WITH_SYMBOLS));
  return {
    type: "line",
    name,
    data: points.map((point) => [...point]),
    showSymbol: withSymbols,
    symbol: "circle",
    symbolSize: (point: number[]) => point[2] ?? 5,
    silent: faint || silent,
    emphasis: { disabled: true },
    lineStyle: {
      color: `var(${colour})`,
      width: faint ? 1 : silent ? 1.25 : 2.25,
      type: dash,
      opacity: faint ? 0.4 : 1,
    },
    itemStyle: { color: `var(${colour})`, opacity: faint ? 0.4 : 1 },
    z: faint || silent ? 2 : 3,
  };
}

function exact({ format, exact: own = format }: Axis, value: number): string {
  return own(value);
}

function ends({ min, max, ofOne }: Axis) {
  const end = (at: 0 | 1) => (extent: { min: number; max: number }) => (extent.min === extent.max ? ofOne?.[at] : null);
  if (ofOne !== undefined) return { min: end(0), max: end(1) };
  return { ...(min !== undefined && { min }), ...(max !== undefined && { max }) };
}

interface Shown {
  seriesIndex?: number;
  value: number[];
}

/** Elements, not markup: names are texts. */
function tooltip(shown: readonly Shown[], lines: readonly Line[], x: Axis, y: Axis): HTMLElement {
  const at = shown[0]?.value[0];
  const rows = shown.flatMap(({ seriesIndex = 0, value }) => {
    const line = lines[seriesIndex];
    if (line === undefined || line.faint || line.silent) return [];
    const entry = legendEntry(line);
    entry.append(h("strong", {}, exact(y, value[1])));
    return [entry];
  });
  return h("div", {}, h("div", { class: "tooltip-head" }, `${x.name} ${exact(x, at)}`), h("ul", {}, ...rows));
}

function dataTable(caption: string, lines: readonly Line[], x: Axis, y: Axis): HTMLElement {
  const shown = lines.filter(({ silent }) => !silent);
  const places = [...new Set(shown.flatMap(({ points }) => points.map(([at]) => at)))].sort((a, b) => a - b);
  const byLine = shown.map(({ points }) => new Map(points.map(([at, value]) => [at, value])));
  const rows = places.map((at) => [
    exact(x, at),
    ...byLine.map((values) => {
      const value = values.get(at);
      return value === undefined ? "" : exact(y, value);
    }),
  ]);
  const columns = [x.name, ...shown.map(({ name }) => name)];
  return table({ caption: `${caption}, by ${x.name}`, columns, texts: 0, rows });
}

/** Draws a chart once its element has a size. */
function drawOnceShown(image: HTMLElement, body: () => void): void {
  const observer = new ResizeObserver(() => {
    if (image.clientWidth === 0) return;
    observer.disconnect();
    body();
  });
  observer.observe(image);
}
