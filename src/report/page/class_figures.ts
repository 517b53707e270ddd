import { type Content, h } from "../../page/dom.js";
import { showCount, showPercent } from "../../show.js";
import type { Evaluation } from "../../tasks/evaluation.js";
import { figure } from "./figure.js";
import { scrolling, table, textCell } from "./table.js";

const MAX_WITH_NUMBERS = 20;
/** A matrix of more cells is slow to draw and too fine to read. */
const MAX_IN_MATRIX = 100;
const MAX_PAIRS = 8;

/** The counts of a true class by predicted ones; there may be none for 0. */
type Row = Readonly<Record<number, number>>;

/** Which class was taken for which: a table in colours, and the most frequent mistakes in words. */
export function confusionFigure(
  { confusion, perClass }: Evaluation,
  names: readonly string[],
  teacher?: Evaluation,
): HTMLElement {
  const mistakes = pairs(confusion, names, teacher);
  if (names.length > MAX_IN_MATRIX) {
    return figure({
      title: "Most frequent mistakes",
      description: "Which classes were taken for which others.",
      content: [mistakes],
      className: "wide",
    });
  }
  const small = names.length <= MAX_WITH_NUMBERS;
  const columns = names.map((name) => h("th", { scope: "col" }, h("span", { title: name }, name)));
  const rows = confusion.map((row: Row, i) => {
    const support = perClass[i]?.support ?? 0;
    const cells = names.map((to, j) => cell(row[j] ?? 0, support, { from: names[i] ?? "", to, right: i === j, small }));
    return h("tr", {}, h("th", { scope: "row" }, textCell(names[i])), ...cells);
  });
  const matrix = h(
    "table",
    { class: small ? "matrix" : "matrix tiny", "--classes": names.length },
    h("caption", { class: "unseen" }, "Confusion matrix: true classes down, predicted classes across"),
    h("thead", {}, h("tr", {}, h("td", { class: "corner" }, "true \\ predicted"), ...columns)),
    h("tbody", {}, ...rows),
  );
  return figure({
    title: "Confusion matrix",
    description:
      "A row for each true class, a column for each predicted one. Blue is right, orange is wrong; the stronger, the larger the share of the row.",
    content: [h("div", { class: small ? "beside" : "below" }, scrolling(matrix, "Confusion matrix"), mistakes)],
    className: "wide",
  });
}

interface Cell {
  from: string;
  to: string;
  right: boolean;
  small: boolean;
}

function cell(n: number, support: number, { from, to, right, small }: Cell): HTMLElement {
  const share = support === 0 ? 0 : n / support;
  // Mistakes are rare: the square root makes them visible.
  const depth = right ? share : Math.sqrt(share);
  const title = right ? `${from}: ${n} of ${support} right` : `${from} taken for ${to}: ${n} of ${support}`;
  const kind = `${right ? "right" : "wrong"} ${n === 0 ? "none" : ""}`;
  const attributes = { class: kind, "--depth": showPercent(depth, 1), title, "data-value": n };
  return h("td", attributes, small && n > 0 && String(n));
}

function pairs(confusion: readonly Row[], names: readonly string[], teacher?: Evaluation): HTMLElement {
  const all = confusion.flatMap((row, i) => {
    const counts = Object.entries(row).map(([j, n]) => ({ i, j: Number(j), n }));
    const support = counts.reduce((sum, { n }) => sum + n, 0);
    return counts.map((count) => ({ ...count, share: support === 0 ? 0 : count.n / support }));
  });
  const most = all
    .filter(({ i, j, n }) => i !== j && n > 0)
    .sort((a, b) => b.n - a.n)
    .slice(0, MAX_PAIRS);
  if (most.length === 0) return h("p", { class: "note" }, "No mistake was made.");
  return table({
    caption: "The most frequent mistakes",
    columns: ["true class", "taken for", "times", "of class", ...(teacher ? ["by teacher"] : [])],
    texts: 2,
    rows: most.map(({ i, j, n, share }) => [
      names[i],
      names[j],
      showCount(n),
      showPercent(share, 1),
      ...(teacher ? [showCount(teacher.confusion[i]?.[j] ?? 0)] : []),
    ]),
  });
}

/** Precision, recall and F1 of each class. */
export function classesFigure({ perClass }: Evaluation, names: readonly string[], teacher?: Evaluation): HTMLElement {
  const rows = perClass.map(({ precision, recall, f1, support }, i): Content[] => [
    names[i],
    showPercent(precision, 1),
    showPercent(recall, 1),
    f1Bar(f1),
    ...(teacher ? [showPercent(teacher.perClass[i]?.f1 ?? 0, 1)] : []),
    showCount(support),
  ]);
  return figure({
    title: "By class",
    description:
      "Precision: how much of what was given this class has it. Recall: how much of the class was found. F1 is their harmonic mean.",
    content: [
      table({
        caption: "Precision, recall and F1 by class",
        columns: ["class", "precision", "recall", "F1", ...(teacher ? ["F1, teacher"] : []), "samples"],
        rows,
      }),
    ],
    className: "full-on-paper",
  });
}

function f1Bar(f1: number): HTMLElement {
  const track = h("span", { class: "inline-bar", "--share": showPercent(f1, 1), "aria-hidden": "true" });
  return h("span", { class: "with-bar" }, track, h("span", {}, showPercent(f1, 1)));
}
