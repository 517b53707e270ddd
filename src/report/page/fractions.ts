import { chanceIn } from "../../compare/chance_in.js";
import type { FractionMetrics } from "../../compare/results.js";
import type { SampleStats } from "../../compare/statistics.js";
import type { Content } from "../../page/dom.js";
import { showCount, showPercent } from "../../show.js";
import { type Metric, showMetric } from "../../tasks/metrics.js";
import { changeOf, counted } from "../text.js";
import { intervalCell, spreadCell } from "./cells.js";
import { figure } from "./figure.js";
import { type Line, lineChart } from "./line_chart.js";
import { figures } from "./sections.js";
import { NETWORK_STYLES } from "./series.js";
import { table } from "./table.js";

/** How the students do with less training data: a curve and its table. */
export function fractionsFigures(
  metric: Metric,
  points: readonly FractionMetrics[],
  teacher: number | null,
  seeds: number,
): HTMLElement | null {
  const of = (stats: FractionMetrics["baseline"]) => stats[metric.name] as SampleStats;
  const line = (name: "baseline" | "distilled", style: Omit<Line, "name" | "points">): Line => ({
    name,
    ...style,
    points: points.map((point) => [point.samples, of(point[name]).mean]),
  });
  const ends = [points[0]?.samples ?? 1, points.at(-1)?.samples ?? 1] as const;
  const lines: Line[] = [
    line("baseline", NETWORK_STYLES.baseline),
    line("distilled", NETWORK_STYLES.student),
    ...(teacher === null
      ? []
      : [
          {
            name: "teacher, all samples",
            ...NETWORK_STYLES.teacher,
            points: ends.map((at): [number, number] => [at, teacher]),
          },
        ]),
  ];
  const rows = points.map((point): Content[] => [
    showCount(point.samples),
    showPercent(point.fraction, 1),
    spreadCell(metric, of(point.baseline)),
    spreadCell(metric, of(point.distilled)),
    changeOf(metric, point.difference.mean),
    intervalCell(metric, point.difference),
  ]);
  const differences = points.map(({ difference }) => difference);
  const over = seeds < 2 ? "one seed" : `the mean of ${counted(seeds, "seed")}`;
  const format = (x: number) => showMetric(metric, x);
  return figures(
    lineChart({
      title: `Test ${metric.label} by the amount of training data`,
      description: `Students of parts of the training data, ${over}, best epoch, on the same test set; the same number of epochs each. The scale of samples is logarithmic.`,
      lines,
      x: { name: "training samples", format: showCount, log: true },
      y: { name: metric.label, format },
    }),
    figure({
      title: "Distilled minus baseline by the amount of training data",
      description: `${showPercent(differences[0]?.confidence ?? 0, 0)} intervals for ${chanceIn(...differences)}, each of one difference.`,
      content: [
        table({
          caption: "Figures by the amount of training data",
          columns: ["samples", "of all", "baseline", "distilled", "difference", "interval"],
          texts: 0,
          rows,
        }),
      ],
      className: "wide",
    }),
  );
}
