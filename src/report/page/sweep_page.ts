import type { SweepPoint } from "../../compare/results.js";
import { sweptIn } from "../../compare/swept_in.js";
import { h } from "../../page/dom.js";
import { capitalized, showCount, showPercent } from "../../show.js";
import type { TaskEvaluation } from "../../tasks/evaluation.js";
import {
  agreementOf,
  epochKey,
  isBetter,
  type Metric,
  mainMetric,
  metricsOf,
  showChange,
  showMetric,
  showSigned,
} from "../../tasks/metrics.js";
import type { SweepReport } from "../report_data.js";
import { isSamePoint, samplingMargin } from "../sweep_points.js";
import { isKnown, pCell } from "./cells.js";
import { sweepCurves } from "./curves.js";
import { disclosed, figure } from "./figure.js";
import { hero, type Tile } from "./hero.js";
import { judgedTeacher } from "./reliability.js";
import { figures, predictionSections, section, smallFigures } from "./sections.js";
import { sizesFigure } from "./sizes.js";
import { scrolling, table } from "./table.js";

const PALEST = 0.08;

/** The page of a sweep. */
export function sweepPage(report: SweepReport): (HTMLElement | null)[] {
  const { result, predictions } = report;
  const { best, points, teacher, sizes, data, seeds } = result;
  const swept = sweptIn(result);
  const evaluated = [
    ...judgedTeacher(teacher.evaluation),
    { name: "student", colour: "--student", evaluation: best.evaluation },
  ];
  const named = points.map((point) => ({
    name: nameOf(point, swept),
    history: point.history,
    best: isSamePoint(point, best),
  }));
  const [metric] = metricsOf(data);
  const key = epochKey(metric);
  const within = `${(100 * samplingMargin(best[key], data.validation)).toFixed(2)} points`;
  const cells =
    seeds.length < 2
      ? `Each cell is one run with seed ${seeds[0]}, at its best epoch,`
      : `Each cell is the mean of ${seeds.length} seeds, each at its best epoch,`;
  const chance = metric.name === "accuracy" && seeds.length < 2 ? ` Differences below ${within} may be chance.` : "";
  const config = { ...report.config, ...(swept.includes("temperature") && { temperature: best.temperature }) };
  return [
    hero(report, tilesOf(report)),
    section(
      "The grid",
      h("p", { class: "lead" }, `${cells} on ${showCount(data.validation)} validation samples.${chance}`),
      figures(
        grid(report, `${capitalized(metric.label)} on the validation set`, metric, (point) => point[key]),
        ...(points.every(({ agreement }) => agreement !== null)
          ? [
              grid(
                report,
                "Agreement with the teacher on the validation set",
                agreementOf(data),
                ({ agreement }) => agreement ?? 0,
              ),
            ]
          : []),
      ),
      ranking(report),
    ),
    section(
      seeds.length < 2 ? "How they went" : `How they went, seed ${seeds[0]}`,
      smallFigures(sweepCurves(data, named)),
    ),
    h(
      "p",
      { class: "aside" },
      `From here on: the student of ${nameOf(best, swept)}${seeds.length < 2 ? "" : `, seed ${seeds[0]}`}.`,
    ),
    ...predictionSections({ ...report, config }, predictions, { network: "student", evaluated }),
    section("Against the teacher", sizes.teacher && figures(sizesFigure(sizes.student, sizes.teacher))),
  ];
}

function tilesOf({ result }: SweepReport): Tile[] {
  const { data, best, teacher } = result;
  const [metric] = metricsOf(data);
  const shown = (evaluation: TaskEvaluation) => showMetric(metric, mainMetric(data, evaluation));
  const spread = best.test?.[metric.name];
  return [
    ...sweptIn(result).map((name) => ({ name, value: String(best[name]) })),
    {
      name: `test ${metric.label}`,
      value: spread === undefined ? shown(best.evaluation) : showMetric(metric, spread.mean),
      colour: "--student",
      ...(spread && { note: `\u00b1 ${showChange(metric, spread.std)}` }),
    },
    ...(teacher.evaluation ? [{ name: "the teacher's", value: shown(teacher.evaluation), colour: "--teacher" }] : []),
  ];
}

/** Temperatures down, alphas across, of which the loss may read one alone: the darker, the higher. */
function grid({ result }: SweepReport, title: string, shown: Metric, of: (point: SweepPoint) => number): HTMLElement {
  const { temperatures, alphas, points, best } = result;
  const swept = sweptIn(result);
  const values = points.map(of);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const depth = (value: number) => (most === least ? 1 : PALEST + ((1 - PALEST) * (value - least)) / (most - least));
  const headOf = (name: Swept, value: number) => (swept.includes(name) ? String(value) : shown.label);
  const row = (temperature: number, i: number) => {
    const cells = points.slice(i * alphas.length, (i + 1) * alphas.length).map((point) => {
      const value = of(point);
      const kind = isSamePoint(point, best) ? "best" : null;
      return h("td", { class: kind, "--depth": showPercent(depth(value), 1) }, showMetric(shown, value));
    });
    return h("tr", {}, h("th", { scope: "row" }, headOf("temperature", temperature)), ...cells);
  };
  const head = alphas.map((alpha) => h("th", { scope: "col" }, headOf("alpha", alpha)));
  const corner = swept.map((name) => (name === "temperature" ? "T" : name)).join(" \\ ");
  const places = swept.map((name) => (name === "temperature" ? "temperatures down" : "alphas across")).join(", ");
  const heat = h(
    "table",
    { class: "heat" },
    h("caption", { class: "unseen" }, `${title}: ${places}`),
    h("thead", {}, h("tr", {}, h("td", { class: "corner" }, corner), ...head)),
    h("tbody", {}, ...temperatures.map(row)),
  );
  return figure({
    title,
    description: `${capitalized(places)}; from ${showMetric(shown, least)} to ${showMetric(shown, most)}, the stronger the colour, the higher. The outlined cell was chosen.`,
    content: [scrolling(heat, title)],
  });
}

function ranking({ result }: SweepReport): HTMLElement {
  const { data, points } = result;
  const swept = sweptIn(result);
  const [metric] = metricsOf(data);
  const key = epochKey(metric);
  const rows = [...points]
    .sort((a, b) => (isBetter(metric, b[key], a[key]) ? 1 : isBetter(metric, a[key], b[key]) ? -1 : 0))
    .map((point) => [
      ...swept.map((name) => String(point[name])),
      showMetric(metric, point[key]),
      point.agreement === null ? "" : showMetric(agreementOf(data), point.agreement),
      String(point.bestEpoch),
      ...leadCells(metric, point),
    ]);
  const ofLead = points.some(({ spread }) => spread !== undefined) ? ["sd", "the best has more", "p, corrected"] : [];
  const columns = [...swept, metric.label, "agreement", "best epoch", ...ofLead];
  return disclosed("All points, best first", () =>
    table({ caption: "All points, best first", columns, texts: 0, rows }),
  );
}

/** How the point's figure spreads over the seeds, and how far the chosen one is ahead. */
function leadCells(metric: Metric, { spread }: SweepPoint): string[] {
  if (spread === undefined) return [];
  const { lead } = spread;
  const sd = showChange(metric, spread.figure.std);
  if (lead === null) return [sd, "", ""];
  const { low, high } = lead;
  const interval = isKnown(low) ? ` (${showChange(metric, low)} to ${showChange(metric, high)})` : "";
  return [sd, `${showSigned(metric, lead.mean)}${interval}`, pCell(lead.correctedPValue, low)];
}

type Swept = NonNullable<SweepReport["result"]["swept"]>[number];

function nameOf(point: SweepPoint, swept: readonly Swept[]): string {
  return swept.map((name) => `${name} ${point[name]}`).join(", ");
}
