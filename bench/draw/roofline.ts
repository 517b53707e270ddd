import type { Ceiling, Conditions } from "../machine.js";
import { digits, percent } from "../report.js";
import type { Results, Row } from "../results.js";
import { axis, COLOURS, FONT, renderSvg } from "./svg.js";

const [MIN_INTENSITY, LARGEST_INTENSITY] = [0.2, 64];
const MIN_RATE = 0.2;
const [WIDTH, HEIGHT] = [980, 620];
const GROUP_COLOURS = {
  products: COLOURS.blue,
  layers: COLOURS.green,
  "losses and optimizer": COLOURS.orange,
} as const;

/**
 * The roofline chart (Williams, Waterman and Patterson, 2009): each kernel's arithmetic rate on all threads over its
 * arithmetic intensity, below the roofs that the machine's bandwidths and its arithmetic peak make.
 */
export function drawRoofline({ rows, limits, ...about }: Pick<Results, "rows" | "limits"> & Conditions): string {
  const kernels = rows.filter(({ group }) => group in GROUP_COLOURS);
  const title = "Roofline: what arithmetic and memory allow, and what the kernels reach";
  const description = kernels.map((row, i) => `${i + 1}: ${describe(row)}`).join("; ");
  return renderSvg(
    { title, description, width: WIDTH, height: HEIGHT },
    {
      title: {
        text: title,
        subtext: `${about.machine.cpu}, ${about.threads} threads; each dot is a kernel at the script's shapes`,
        textStyle: { color: COLOURS.text, fontSize: 17 },
        subtextStyle: { color: COLOURS.text },
        left: 20,
        top: 12,
      },
      legend: { data: Object.keys(GROUP_COLOURS), left: 20, top: 62, itemGap: 24, textStyle: { color: COLOURS.text } },
      grid: { left: 80, right: 420, top: 100, bottom: 64 },
      xAxis: axis("arithmetic intensity (FLOP per byte of memory traffic)", {
        type: "log",
        min: MIN_INTENSITY,
        max: LARGEST_INTENSITY,
      }),
      yAxis: axis("rate (GFLOP/s)", {
        type: "log",
        nameGap: 48,
        min: MIN_RATE,
        max: 100 * Math.ceil(limits.all.gflops / 50),
      }),
      series: [...roofs(limits.all), ...dots(kernels)],
      graphic: key(kernels),
    },
  );
}

/** A line for each bandwidth, up to the arithmetic peak. */
function roofs({ gflops, bandwidths }: Ceiling): object[] {
  return bandwidths.map(({ bytes, gigabytesPerSecond }) => ({
    type: "line",
    symbol: "none",
    silent: true,
    lineStyle: { color: COLOURS.text, width: 1.5 },
    data: [
      [MIN_INTENSITY, MIN_INTENSITY * gigabytesPerSecond],
      [gflops / gigabytesPerSecond, gflops],
      [LARGEST_INTENSITY, gflops],
    ],
    markPoint: {
      symbol: "rect",
      symbolSize: 0.1,
      label: {
        show: true,
        position: "right",
        color: COLOURS.text,
        fontSize: 10,
        formatter: `${(bytes / 2 ** 20).toFixed(0)} MiB: ${digits(gigabytesPerSecond)} GB/s`,
      },
      data: [{ coord: [MIN_INTENSITY, MIN_INTENSITY * gigabytesPerSecond] }],
    },
  }));
}

/** The kernels' dots with their numbers, a series for each group. */
function dots(kernels: readonly Row[]): object[] {
  return Object.entries(GROUP_COLOURS).map(([group, colour]) => ({
    name: group,
    type: "scatter",
    symbolSize: 9,
    itemStyle: { color: colour },
    label: { show: true, position: "right", color: COLOURS.text, fontSize: 11, formatter: "{b}" },
    labelLayout: { hideOverlap: true },
    data: kernels.flatMap((row, i) =>
      row.group === group ? [{ name: String(i + 1), value: [intensity(row), gflopsOf(row)] }] : [],
    ),
  }));
}

/** The legend: numbers, kernels and rates. */
function key(kernels: readonly Row[]): object[] {
  const column = (right: number, align: string, texts: readonly string[]) => ({
    type: "text",
    x: WIDTH - right,
    y: 96,
    silent: true,
    style: {
      text: texts.join("\n"),
      fill: COLOURS.text,
      fontFamily: FONT,
      fontSize: 12,
      lineHeight: 21,
      align,
    },
  });
  return [
    column(390, "right", ["", ...kernels.map((_, i) => String(i + 1))]),
    column(380, "left", ["", ...kernels.map(({ name }) => name)]),
    column(86, "right", ["GFLOP/s", ...kernels.map((row) => digits(gflopsOf(row)))]),
    column(20, "right", ["of limit", ...kernels.map(({ share }) => percent(share?.share))]),
  ];
}

function describe(row: Row): string {
  return `${row.name}, ${digits(intensity(row))} FLOP/B, ${digits(gflopsOf(row))} GFLOP/s`;
}

function intensity({ work }: Row): number {
  return work.flops / work.bytes;
}

function gflopsOf({ work, allThreadsMs }: Row): number {
  return work.flops / allThreadsMs / 1e6;
}
