import type { OfTask } from "../../data/task_name.js";
import { type Content, h, newId } from "../../page/dom.js";
import type { TaskEvaluation } from "../../tasks/evaluation.js";
import { isClassification, targetTable } from "../../tasks/metrics.js";
import type { HeldOutPredictions, Mistake, Report } from "../report_data.js";
import { classesFigure, confusionFigure } from "./class_figures.js";
import { mistakesSection } from "./mistakes.js";
import { type Judged, reliabilityFigure } from "./reliability.js";
import { table } from "./table.js";

/** A part of the report under its heading; nothing if it has no content. */
export function section(title: string, ...content: readonly Content[]): HTMLElement | null {
  const shown = content.filter((part) => part instanceof Node || typeof part === "string");
  const id = newId("section");
  return shown.length === 0 ? null : h("section", { "aria-labelledby": id }, h("h2", { id }, title), ...shown);
}

/** Figures beside each other if there is room. */
export function figures(...content: readonly (HTMLElement | null)[]): HTMLElement | null {
  const shown = content.filter((part): part is HTMLElement => part !== null);
  return shown.length === 0 ? null : h("div", { class: "figures" }, ...shown);
}

/** Small figures, three beside each other if there is room. */
export function smallFigures(content: readonly HTMLElement[]): HTMLElement | null {
  return content.length === 0 ? null : h("div", { class: "figures small" }, ...content);
}

/** Where a network is right, where it is wrong, and what it believes there. */
export function predictionSections(
  report: Report,
  { evaluation, teacher, mistakes }: HeldOutPredictions,
  { network, evaluated }: { network: string; evaluated: readonly Judged[] },
): (HTMLElement | null)[] {
  const { classNames, config } = report;
  if (!isClassification(evaluation)) return [targetsSection(report, evaluation, classNames)];
  const ofTeacher = teacher && isClassification(teacher) ? teacher : undefined;
  const wrong = evaluation.samples - evaluation.correct;
  const temperature = typeof config.temperature === "number" ? config.temperature : 1;
  const gallery = { mistakes, names: classNames, wrong, temperature, network };
  return [
    section(mistakesTitle(mistakes), ...(mistakes.length === 0 ? [] : mistakesSection(gallery))),
    section(
      "Right and wrong",
      figures(
        confusionFigure(evaluation, classNames, ofTeacher),
        classesFigure(evaluation, classNames, ofTeacher),
        reliabilityFigure(evaluated),
      ),
    ),
  ];
}

/** The figures of each target, a target a row. */
function targetsSection(data: OfTask, evaluation: TaskEvaluation, names: readonly string[]): HTMLElement | null {
  const found = targetTable(data, evaluation, names);
  if (found === null) return null;
  const columns = ["target", ...found.columns];
  return section("By target", table({ caption: "The figures of each target", columns, rows: found.rows }));
}

function mistakesTitle(mistakes: readonly Mistake[]): string {
  return mistakes.some(({ image }) => image !== undefined) ? "The images it gets wrong" : "What it gets wrong";
}
