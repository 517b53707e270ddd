import type { Evaluation } from "../../train/metrics.js";
import { count, percent } from "../text.js";
import { type Content, h } from "./dom.js";
import { figure } from "./figure.js";
import { table } from "./table.js";

/** Precision, recall and F1 of each class. */
export function classesFigure({ perClass }: Evaluation, names: readonly string[], teacher?: Evaluation): HTMLElement {
  const numbers = ["precision", "recall", "F1", ...(teacher ? ["F1, teacher"] : []), "samples"];
  const rows = perClass.map(({ precision, recall, f1, support }, i): Content[] => [
    names[i],
    percent(precision, 1),
    percent(recall, 1),
    bar(f1),
    ...(teacher ? [percent(teacher.perClass[i]?.f1 ?? 0, 1)] : []),
    count(support),
  ]);
  return figure({
    title: "By class",
    description:
      "Precision: how much of what was given this class has it. Recall: how much of the class was found. F1 is their harmonic mean.",
    content: [
      table({
        caption: "Precision, recall and F1 by class",
        columns: [{ name: "class", text: true }, ...numbers.map((name) => ({ name }))],
        rows,
      }),
    ],
    className: "full-on-paper",
  });
}

function bar(share: number): HTMLElement {
  const track = h("span", { class: "inline-bar", "--share": `${(100 * share).toFixed(1)}%`, "aria-hidden": "true" });
  return h("span", { class: "with-bar" }, track, h("span", {}, percent(share, 1)));
}
