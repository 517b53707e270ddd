import type { CorrectedDifference, StudentFigures } from "../../compare/results.js";
import type { SampleStats } from "../../compare/statistics.js";
import type { CompareReport } from "../report_data.js";
import { bytes, count, counted, percent, points, pValue, short } from "../text.js";
import { compareCurves } from "./curves.js";
import { type Content, h } from "./dom.js";
import { hero, type Tile } from "./hero.js";
import { intervalFigure } from "./interval.js";
import { figures, predictionSections, section, smallFigures } from "./sections.js";
import { sizesFigure } from "./sizes.js";
import { table } from "./table.js";

/** The page of a comparison. */
export function comparePage(report: CompareReport): (HTMLElement | null)[] {
  const { result, predictions } = report;
  const { baseline, distilled, teacher, difference, seeds, sizes } = result;
  const evaluated = [
    { name: "teacher", colour: "--teacher", dash: "dashed" as const, evaluation: teacher.evaluation },
    ...baseline.evaluations
      .slice(0, 1)
      .map((evaluation) => ({ name: "baseline", colour: "--baseline", dash: "dotted" as const, evaluation })),
    { name: "distilled", colour: "--student", evaluation: predictions.evaluation },
  ];
  return [
    hero(report, tilesOf(report), figures(intervalFigure(difference.best, seeds))),
    section("The figures", h("p", { class: "lead" }, leadOf(report)), figuresTable(report), bySeed(report)),
    result.methods.length > 1 ? section("Loss by loss", ...methodsTable(report)) : null,
    section(
      "How they went",
      smallFigures(
        compareCurves({ baseline: baseline.histories, distilled: distilled.histories }, teacher.history, seeds),
      ),
    ),
    h("p", { class: "aside" }, `From here on: the distilled student of seed ${seeds[0]}.`),
    ...predictionSections(report, predictions, { network: "student", evaluated }),
    section("Against the teacher", figures(sizesFigure(sizes.student, sizes.teacher))),
  ];
}

function tilesOf({ result: { teacher, baseline, distilled, methods } }: CompareReport): Tile[] {
  const tile = (name: string, colour: string, { best }: StudentFigures): Tile => ({
    name,
    colour,
    value: percent(best.accuracy.mean),
    note: deviation(best.accuracy),
  });
  return [
    tile(methods.length > 1 ? methods[0].loss : "distilled student", "--student", distilled),
    tile("baseline student", "--baseline", baseline),
    { name: "teacher", colour: "--teacher", value: percent(teacher.evaluation.accuracy) },
  ];
}

function deviation({ std, values }: SampleStats): string {
  return values.length < 2 ? "one seed" : `\u00b1 ${(100 * std).toFixed(2)}`;
}

function leadOf({ result: { data, seeds } }: CompareReport): string {
  const over = seeds.length < 2 ? "one seed" : `mean and standard deviation over ${counted(seeds.length, "seed")}`;
  return `${over[0]?.toUpperCase()}${over.slice(1)}, on ${count(data.test)} test samples that were read once, at the end. The best epoch was chosen on ${count(data.validation)} validation samples, out of the training data.`;
}

function figuresTable({ result }: CompareReport): HTMLElement {
  const { teacher, baseline, distilled, sizes } = result;
  const of = (figure: (figures: StudentFigures) => SampleStats): Content[] =>
    [baseline, distilled].map((both) => spread(figure(both)));
  const rows: Content[][] = [
    ["accuracy, best epoch", percent(teacher.evaluation.accuracy), ...of(({ best }) => best.accuracy)],
    ["accuracy, last epoch", "", ...of(({ last }) => last.accuracy)],
    ["agreement with the teacher", "", ...of(({ best }) => best.agreement)],
    ["calibration error", percent(teacher.evaluation.calibration.error), ...of(({ best }) => best.calibrationError)],
    ["best epoch", "", ...[baseline, distilled].map(({ best }) => best.epoch.mean.toFixed(1))],
    ["parameters", count(sizes.teacher.parameters), ...twice(count(sizes.student.parameters))],
    ["file", bytes(sizes.teacher.bytes), ...twice(bytes(sizes.student.bytes))],
    ["time for one sample", `${short(sizes.teacher.latencyMs)} ms`, ...twice(`${short(sizes.student.latencyMs)} ms`)],
    [
      "samples a second",
      count(Math.round(sizes.teacher.throughput)),
      ...twice(count(Math.round(sizes.student.throughput))),
    ],
  ];
  const columns = [{ name: "", text: true }, ...["teacher", "baseline", "distilled"].map((name) => ({ name }))];
  return table({ caption: "Teacher, baseline student and distilled student", columns, rows, className: "key" });
}

function bySeed({ result: { difference, baseline, distilled, seeds } }: CompareReport): HTMLElement {
  const line = ({ mean, low, high, confidence, pValue: p, distinguishable }: typeof difference.best, which: string) => {
    const known = low !== null && high !== null;
    const interval = known
      ? `, ${percent(confidence, 0)} interval ${points(low)} to ${points(high)}, p ${pValue(p)}`
      : "";
    const text = known ? `: ${distinguishable ? "distinguishable" : "not distinguishable"} from chance` : "";
    return h("li", {}, `${which}: ${points(mean)} points${interval}${text}.`);
  };
  const lines = h("ul", { class: "plain" }, line(difference.best, "Best epoch"), line(difference.last, "Last epoch"));
  const rows = seeds.map((seed, i) => [
    String(seed),
    percent(baseline.best.accuracy.values[i] ?? 0),
    percent(distilled.best.accuracy.values[i] ?? 0),
    points(difference.best.values[i] ?? 0),
    points(difference.last.values[i] ?? 0),
  ]);
  const names = ["seed", "baseline", "distilled", "difference", "last epoch"];
  return h(
    "div",
    {},
    h("h3", {}, "Distilled minus baseline, pair by pair"),
    lines,
    table({ caption: "Test accuracy by seed", columns: names.map((name) => ({ name })), rows }),
  );
}

/** Every loss against the baseline and the first one. */
function methodsTable({ result: { methods, baseline, seeds } }: CompareReport): HTMLElement[] {
  const difference = (of: CorrectedDifference | undefined): Content[] => {
    if (of === undefined) return ["", "", ""];
    const known = of.low !== null && of.high !== null && Number.isFinite(of.low);
    const interval = known ? `${points(of.low)} to ${points(of.high)}` : "unknown";
    return [points(of.mean), interval, h("span", {}, of.correctedPValue.toPrecision(2), of.significant ? " *" : "")];
  };
  const columns = ["", "accuracy", "last epoch", "minus baseline", "interval", "p", "minus the first", "interval", "p"];
  const accuracies = ({ best, last }: Pick<StudentFigures, "best" | "last">) => [
    spread(best.accuracy),
    spread(last.accuracy),
  ];
  const rows: Content[][] = [
    ["baseline", ...accuracies(baseline), ...difference(undefined), ...difference(undefined)],
    ...methods.map((method) => [
      method.loss,
      ...accuracies(method),
      ...difference(method.difference.best),
      ...difference(method.againstFirst?.best),
    ]),
  ];
  const level = Number((1 - methods[0].difference.best.confidence).toPrecision(6));
  const text = `Points of test accuracy with the best epoch's weights, over ${counted(seeds.length, "seed")}. Intervals are those of one difference; p values are corrected for the number of losses (Holm), and * marks those below ${level}.`;
  return [
    h("p", { class: "lead" }, text),
    table({ caption: "Losses side by side", columns: columns.map((name, i) => ({ name, text: i === 0 })), rows }),
  ];
}

function spread(figure: SampleStats): HTMLElement {
  return h("span", {}, percent(figure.mean), " ", h("small", {}, figure.values.length < 2 ? "" : deviation(figure)));
}

function twice(text: string): string[] {
  return [text, text];
}
