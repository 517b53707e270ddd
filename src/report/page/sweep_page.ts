import type { SweepPoint } from "../../compare/results.js";
import { h } from "../../page/dom.js";
import { showCount } from "../../show_count.js";
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
  type TaskEvaluation,
} from "../../tasks/metrics.js";
import type { SweepReport } from "../report_data.js";
import { pValue } from "../text.js";
import { isSamePoint, samplingMargin } from "../verdict.js";
import { sweepCurves } from "./curves.js";
import { disclosed, figure } from "./figure.js";
import { hero, type Tile } from "./hero.js";
import { figures, predictionSections, section, smallFigures } from "./sections.js";
import { NETWORK_STYLES } from "./series.js";
import { sizesFigure } from "./sizes.js";
import { scrolling, table } from "./table.js";

const PALEST = 0.08;

/** The page of a sweep. */
export function sweepPage(report: SweepReport): (HTMLElement | null)[] {
  const { result, predictions } = report;
  const { best, points, teacher, sizes, data } = result;
  const evaluated = [
    ...(teacher.evaluation ? [{ name: "teacher", ...NETWORK_STYLES.teacher, evaluation: teacher.evaluation }] : []),
    { name: "student", colour: "--student", evaluation: best.evaluation },
  ];
  const named = points.map((point) => ({
    name: nameOf(point),
    history: point.history,
    best: isSamePoint(point, best),
  }));
  const [figure] = metricsOf(data);
  const metric = epochKey(figure);
  const within = `${(100 * samplingMargin(best[metric], data.validation)).toFixed(2)} points`;
  const { seeds } = result;
  const cells =
    seeds.length < 2
      ? `Each cell is one run with seed ${seeds[0]}, at its best epoch,`
      : `Each cell is the mean of ${seeds.length} seeds, each at its best epoch,`;
  const chance = figure.name === "accuracy" && seeds.length < 2 ? ` Differences below ${within} may be chance.` : "";
  return [
    hero(report, tilesOf(report)),
    section(
      "The grid",
      h("p", { class: "lead" }, `${cells} on ${showCount(data.validation)} validation samples.${chance}`),
      figures(
        grid(
          report,
          `${figure.label[0]?.toUpperCase()}${figure.label.slice(1)} on the validation set`,
          figure,
          (point) => point[metric],
        ),
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
      `From here on: the student of ${nameOf(best)}${seeds.length < 2 ? "" : `, seed ${seeds[0]}`}.`,
    ),
    ...predictionSections({ ...report, config: { ...report.config, temperature: best.temperature } }, predictions, {
      network: "student",
      evaluated,
    }),
    section("Against the teacher", sizes.teacher && figures(sizesFigure(sizes.student, sizes.teacher))),
  ];
}

function tilesOf({ result: { data, best, teacher, swept = ["temperature", "alpha"] } }: SweepReport): Tile[] {
  const [figure] = metricsOf(data);
  const shown = (evaluation: TaskEvaluation) => showMetric(figure, mainMetric(data, evaluation));
  const spread = best.test?.[figure.name];
  return [
    ...swept.map((name) => ({ name, value: String(best[name]) })),
    {
      name: `test ${figure.label}`,
      value: spread === undefined ? shown(best.evaluation) : showMetric(figure, spread.mean),
      colour: "--student",
      ...(spread && { note: `\u00b1 ${showChange(figure, spread.std)}` }),
    },
    ...(teacher.evaluation ? [{ name: "the teacher's", value: shown(teacher.evaluation), colour: "--teacher" }] : []),
  ];
}

/** Temperatures down, alphas across: the darker, the higher. */
function grid({ result }: SweepReport, title: string, shown: Metric, of: (point: SweepPoint) => number): HTMLElement {
  const { temperatures, alphas, points, best } = result;
  const values = points.map(of);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const depth = (value: number) => (most === least ? 1 : PALEST + ((1 - PALEST) * (value - least)) / (most - least));
  const row = (temperature: number, i: number) => {
    const cells = points.slice(i * alphas.length, (i + 1) * alphas.length).map((point) => {
      const value = of(point);
      const kind = isSamePoint(point, best) ? "best" : null;
      return h("td", { class: kind, "--depth": `${(100 * depth(value)).toFixed(1)}%` }, showMetric(shown, value));
    });
    return h("tr", {}, h("th", { scope: "row" }, String(temperature)), ...cells);
  };
  const head = alphas.map((alpha) => h("th", { scope: "col" }, String(alpha)));
  const heat = h(
    "table",
    { class: "heat" },
    h("caption", { class: "unseen" }, `${title}: temperatures down, alphas across`),
    h("thead", {}, h("tr", {}, h("td", { class: "corner" }, "T \\ alpha"), ...head)),
    h("tbody", {}, ...temperatures.map(row)),
  );
  return figure({
    title,
    description: `Temperatures down, alphas across; from ${showMetric(shown, least)} to ${showMetric(shown, most)}, the stronger the colour, the higher. The outlined cell was chosen.`,
    content: [scrolling(heat, title)],
  });
}

function ranking({ result: { data, points } }: SweepReport): HTMLElement {
  const [figure] = metricsOf(data);
  const metric = epochKey(figure);
  const rows = [...points]
    .sort((a, b) => (isBetter(figure, b[metric], a[metric]) ? 1 : isBetter(figure, a[metric], b[metric]) ? -1 : 0))
    .map((point) => [
      String(point.temperature),
      String(point.alpha),
      showMetric(figure, point[metric]),
      point.agreement === null ? "" : showMetric(agreementOf(data), point.agreement),
      String(point.bestEpoch),
      ...leadCells(figure, point),
    ]);
  const ofLead = points.some(({ spread }) => spread !== undefined) ? ["sd", "the best has more", "p, corrected"] : [];
  const names = ["temperature", "alpha", figure.label, "agreement", "best epoch", ...ofLead];
  const columns = names.map((name) => ({ name }));
  return disclosed("All points, best first", () => table({ caption: "All points, best first", columns, rows }));
}

/** How the point's figure spreads over the seeds, and how far the chosen one is ahead. */
function leadCells(figure: Metric, { spread }: SweepPoint): string[] {
  if (spread === undefined) return [];
  const { lead } = spread;
  const sd = showChange(figure, spread.figure.std);
  if (lead === null) return [sd, "", ""];
  const known = lead.low !== null && Number.isFinite(lead.low);
  const interval = known ? ` (${showChange(figure, lead.low)} to ${showChange(figure, lead.high)})` : "";
  return [sd, `${showSigned(figure, lead.mean)}${interval}`, pValue(lead.correctedPValue)];
}

function nameOf({ temperature, alpha }: SweepPoint): string {
  return `temperature ${temperature}, alpha ${alpha}`;
}
