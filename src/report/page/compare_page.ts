import type { NetworkSize, StudentMetrics } from "../../compare/results.js";
import { type Content, h } from "../../page/dom.js";
import { capitalized, showBytes, showCount } from "../../show.js";
import { type Metric, mainMetric, metricsOf, showMetric } from "../../tasks/metrics.js";
import type { CompareReport } from "../report_data.js";
import { changeOf, counted, short } from "../text.js";
import { behaviourFigures } from "./behaviour.js";
import { deviation, spreadCell } from "./cells.js";
import { compareCurves } from "./curves.js";
import { fractionsFigures } from "./fractions.js";
import { hero, type Tile } from "./hero.js";
import { intervalFigure } from "./interval.js";
import { methodsTables } from "./methods_tables.js";
import { judgedTeacher } from "./reliability.js";
import { figures, predictionSections, section, smallFigures } from "./sections.js";
import { NETWORK_STYLES } from "./series.js";
import { sizesFigure } from "./sizes.js";
import { table } from "./table.js";

/** The page of a comparison. */
export function comparePage(report: CompareReport): (HTMLElement | null)[] {
  const { result, predictions } = report;
  const { data, baseline, distilled, teacher, difference, seeds, sizes, methods } = result;
  const [metric] = metricsOf(data);
  const evaluated = [
    ...judgedTeacher(teacher.evaluation),
    ...baseline.evaluations
      .slice(0, 1)
      .map((evaluation) => ({ name: "baseline", ...NETWORK_STYLES.baseline, evaluation })),
    { name: "distilled", ...NETWORK_STYLES.student, evaluation: predictions.evaluation },
  ];
  return [
    hero(
      report,
      tilesOf(report),
      figures(intervalFigure(metric, difference, { seeds, of: methods.length > 1 ? methods[0].name : "Distilled" })),
    ),
    section("The figures", h("p", { class: "lead" }, leadOf(report)), figuresTable(report), bySeed(report)),
    methods.length > 1 ? section("Method by method", ...methodsTables(result)) : null,
    section("What else changed", result.changes && behaviourFigures(result.changes, report.classNames)),
    section(
      "With less training data",
      result.fractions &&
        fractionsFigures(
          metric,
          result.fractions,
          teacher.evaluation && mainMetric(data, teacher.evaluation),
          seeds.length,
        ),
    ),
    section(
      "How they went",
      smallFigures(
        compareCurves(data, { baseline: baseline.histories, distilled: distilled.histories }, teacher.history, seeds),
      ),
    ),
    h("p", { class: "aside" }, `From here on: the distilled student of seed ${seeds[0]}.`),
    ...predictionSections(report, predictions, { network: "student", evaluated }),
    section("Against the teacher", sizes.teacher && figures(sizesFigure(sizes.student, sizes.teacher))),
  ];
}

function tilesOf({ result: { data, teacher, baseline, distilled, methods } }: CompareReport): Tile[] {
  const [metric] = metricsOf(data);
  const tile = (name: string, colour: string, { best }: StudentMetrics): Tile => ({
    name,
    colour,
    value: showMetric(metric, best[metric.name].mean),
    note: best[metric.name].values.length < 2 ? "one seed" : deviation(metric, best[metric.name]),
  });
  return [
    tile(methods.length > 1 ? methods[0].name : "distilled student", "--student", distilled),
    tile("baseline student", "--baseline", baseline),
    ...(teacher.evaluation
      ? [{ name: "teacher", colour: "--teacher", value: showMetric(metric, mainMetric(data, teacher.evaluation)) }]
      : []),
  ];
}

function leadOf({ result: { data, seeds, methods } }: CompareReport): string {
  const over = seeds.length < 2 ? "one seed" : `mean and standard deviation over ${counted(seeds.length, "seed")}`;
  return `${capitalized(over)}, on ${showCount(data.test)} test samples that were read once, at the end. The best epoch was chosen on ${showCount(data.validation)} validation samples, out of the training data.${methods.length > 1 ? ` The distilled student is that of ${methods[0].name}, here and below.` : ""}`;
}

function figuresTable({ result }: CompareReport): HTMLElement {
  const { data, teacher, baseline, distilled, sizes } = result;
  const [main, ...others] = metricsOf(data).filter(({ name }) => name in baseline.best);
  const of = (metric: Metric, weights: "best" | "last"): Content[] =>
    [baseline, distilled].map((both) => spreadCell(metric, both[weights][metric.name]));
  const ofTeacher = (metric: Metric) => {
    const value = teacher.evaluation && metric.of(teacher.evaluation);
    return value == null ? "" : showMetric(metric, value);
  };
  const size = (text: (size: NetworkSize) => string): Content[] => [
    sizes.teacher ? text(sizes.teacher) : "",
    ...twice(text(sizes.student)),
  ];
  const rows: Content[][] = [
    [`${main.label}, best epoch`, ofTeacher(main), ...of(main, "best")],
    [`${main.label}, last epoch`, "", ...of(main, "last")],
    ...others.map((metric): Content[] => [metric.label, ofTeacher(metric), ...of(metric, "best")]),
    ["best epoch", "", ...[baseline, distilled].map(({ best }) => best.epoch.mean.toFixed(1))],
    ["parameters", ...size(({ parameters }) => showCount(parameters))],
    ["file", ...size((own) => showBytes(own.bytes))],
    ["time for one sample", ...size(({ latencyMs }) => `${short(latencyMs)} ms`)],
    ["samples a second", ...size(({ throughput }) => showCount(Math.round(throughput)))],
  ];
  const columns = ["", "teacher", "baseline", "distilled"];
  return table({ caption: "Teacher, baseline student and distilled student", columns, rows, className: "key" });
}

function bySeed({ result: { data, difference, baseline, distilled, seeds } }: CompareReport): HTMLElement {
  const [metric] = metricsOf(data);
  const points = (x: number) => changeOf(metric, x);
  const rows = seeds.map((seed, i) => [
    String(seed),
    ...[baseline, distilled].map(({ best, files }) =>
      linked(showMetric(metric, best[metric.name].values[i] ?? 0), files[i]),
    ),
    points(difference.best.values[i] ?? 0),
    points(difference.last.values[i] ?? 0),
  ]);
  const columns = ["seed", "baseline", "distilled", "difference", "last epoch"];
  return h(
    "div",
    {},
    h("h3", {}, "Distilled minus baseline, pair by pair"),
    table({ caption: `Test ${metric.label} by seed`, columns, texts: 0, rows }),
  );
}

/** A link to a run's folder beside the report, by one of its files: `seed-0/distilled/`. */
function linked(text: string, file: string | undefined): Content {
  const [, folder] = /[/\\](seed-\d+[/\\][^/\\]+)[/\\][^/\\]+$/.exec(file ?? "") ?? [];
  if (folder === undefined) return text;
  const parts = folder.split(/[/\\]/).map(encodeURIComponent);
  return h("a", { href: `${parts.join("/")}/`, title: `the run's folder, ${folder}` }, text);
}

function twice(text: string): string[] {
  return [text, text];
}
