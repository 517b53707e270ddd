import type { Conditions } from "../machine.js";
import { digits, percent } from "../report.js";
import type { Results, ScalingPoint } from "../results.js";
import { axis, COLOURS, renderSvg } from "./svg.js";

const LEFT = { left: "7%", width: "40%" };
const RIGHT = { left: "57%", width: "40%" };
const UPPER = { top: 110, height: 230 };
const LOWER = { top: 430, height: 150 };

/**
 * The script's step over batch (left) and width (right): its time beside the arithmetic's, and its share of the peak.
 */
export function drawScaling({ scaling, limits, ...about }: Pick<Results, "scaling" | "limits"> & Conditions): string {
  const { overBatch, overWidth } = scaling;
  const title = "The script's step over batch and width";
  const described = [...overBatch, ...overWidth].map(describe).join("; ");
  const { gflops } = limits.all;
  return renderSvg(
    { title, description: described, width: 980, height: 640 },
    {
      title: {
        text: title,
        subtext: `${about.machine.cpu}, ${about.threads} threads; arithmetic peak ${digits(gflops)} GFLOP/s`,
        textStyle: { color: COLOURS.text, fontSize: 17 },
        subtextStyle: { color: COLOURS.text },
        left: 20,
        top: 12,
      },
      legend: {
        data: ["measured", "at the arithmetic peak"],
        left: 20,
        top: 66,
        itemGap: 24,
        textStyle: { color: COLOURS.text },
      },
      grid: [LEFT, RIGHT].flatMap((side) => [UPPER, LOWER].map((height) => ({ ...side, ...height }))),
      xAxis: ["batch (rows)", "width of both networks (1: the script's)"].flatMap((name, i) =>
        [0, 1].map((row) => axis(name, { type: "category", gridIndex: 2 * i + row })),
      ),
      yAxis: [0, 2].flatMap((gridIndex) => [
        axis("time of a step (ms)", { type: "log", gridIndex, nameGap: 44 }),
        axis("share of the peak (%)", { gridIndex: gridIndex + 1, min: 0, max: 100, nameGap: 40 }),
      ]),
      series: [
        ...panels(
          0,
          overBatch.map(({ rows }) => String(rows)),
          overBatch,
          gflops,
        ),
        ...panels(
          2,
          overWidth.map(({ width }) => `x${width}`),
          overWidth,
          gflops,
        ),
      ],
    },
  );
}

/** Time above, share below, on the axes from `at` on. */
function panels(at: number, names: readonly string[], points: readonly ScalingPoint[], gflops: number): object[] {
  const over = (index: number, name: string, colour: string, value: (point: ScalingPoint) => number, more = {}) => ({
    name,
    type: "line",
    xAxisIndex: index,
    yAxisIndex: index,
    symbol: "circle",
    symbolSize: 7,
    itemStyle: { color: colour },
    lineStyle: { color: colour, width: 2 },
    data: points.map((point, i) => [names[i], Number(value(point).toPrecision(4))]),
    ...more,
  });
  const label = { show: true, position: "top", color: COLOURS.text, fontSize: 11 };
  return [
    over(at, "measured", COLOURS.blue, ({ ms }) => ms, {
      label: { ...label, formatter: ({ value }: { value: [string, number] }) => digits(value[1]) },
    }),
    over(at, "at the arithmetic peak", COLOURS.orange, ({ flops }) => flops / gflops / 1e6, {
      symbol: "none",
      lineStyle: { color: COLOURS.orange, width: 2, type: "dashed" },
    }),
    over(at + 1, "measured", COLOURS.blue, ({ shareOfPeak }) => 100 * shareOfPeak, {
      label: { ...label, formatter: ({ value }: { value: [string, number] }) => `${value[1].toFixed(0)}%` },
    }),
  ];
}

function describe({ rows, width, ms, shareOfPeak }: ScalingPoint): string {
  return `batch ${rows}, width x${width}: ${digits(ms)} ms, ${percent(shareOfPeak)} of the peak`;
}
