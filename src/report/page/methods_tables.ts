import { chanceIn } from "../../compare/chance_in.js";
import type { CorrectedDifference } from "../../compare/crossed_difference.js";
import type { Method, MethodDifference, StudentMetrics } from "../../compare/results.js";
import { type Content, h } from "../../page/dom.js";
import { type Metric, metricsOf } from "../../tasks/metrics.js";
import type { CompareReport } from "../report_data.js";
import { changeOf, counted } from "../text.js";
import { intervalCell, isKnown, spreadCell } from "./cells.js";
import { table } from "./table.js";

type Result = CompareReport["result"];

/** Every method against the baseline, the first one, and a calibrated teacher against the teacher as it is. */
export function methodsTables(result: Result): HTMLElement[] {
  return [...sideBySide(result), ...pairs(result), ...otherFigures(result)];
}

function sideBySide({ data, methods, baseline, seeds }: Result): HTMLElement[] {
  const [metric] = metricsOf(data);
  const difference = (of: CorrectedDifference | undefined) => differenceCells(metric, of);
  const ofFirst = (of: CorrectedDifference | undefined) => (isAgainstFirst ? difference(of) : []);
  const isAgainstFirst = methods.some(({ againstFirst }) => againstFirst !== null);
  const columns = [
    "",
    metric.label,
    "last epoch",
    "minus baseline",
    "interval",
    "p",
    ...(isAgainstFirst ? ["minus the first", "interval", "p"] : []),
  ];
  const accuracies = ({ best, last }: Pick<StudentMetrics, "best" | "last">) => [
    spreadCell(metric, best[metric.name]),
    spreadCell(metric, last[metric.name]),
  ];
  const rows: Content[][] = [
    ["baseline", ...accuracies(baseline), ...difference(undefined), ...ofFirst(undefined)],
    ...methods.map((method) => [
      method.name,
      ...accuracies(method),
      ...difference(method.difference.best),
      ...ofFirst(method.againstFirst?.best),
    ]),
  ];
  const level = Number((1 - methods[0].difference.best.confidence).toPrecision(6));
  const what = metric.kind === "fraction" ? `Points of test ${metric.label}` : `Test ${metric.label}`;
  const isOne = seeds.length < 2;
  const unknown = `${what} with the best epoch's weights, of one seed, which shows no chance: there is no interval and no p value.`;
  const known = `${what} with the best epoch's weights, over ${counted(seeds.length, "seed")}. Intervals are for ${chanceIn(...methods.map(({ difference }) => difference.best))}, each of one difference; p values are corrected for the number of methods (Holm), and * marks those below ${level}.`;
  return [
    h("p", { class: "lead" }, isOne ? unknown : known),
    table({
      caption: "Methods side by side",
      columns,
      rows,
      className: "named",
    }),
  ];
}

/** Each loss with its teacher calibrated less the same with the teacher as it is. */
function pairs({ data, methods, seeds }: Result): HTMLElement[] {
  const [metric] = metricsOf(data);
  const rows = methods.flatMap((method): Content[][] => {
    const { loss, uncalibrated, againstUncalibrated: against } = method;
    if (uncalibrated === null || against === null) return [];
    const plain = methods[uncalibrated];
    const cells = (label: string, of: readonly [Method["last"], Method["last"]], difference: CorrectedDifference) => [
      loss,
      label,
      ...of.map((stats) => spreadCell(metric, stats[metric.name])),
      ...differenceCells(metric, difference),
    ];
    return [
      cells(`${metric.label}, best epoch`, [method.best, plain.best], against.best),
      cells(`${metric.label}, last epoch`, [method.last, plain.last], against.last),
      ...otherRows(data, loss, method, plain, against).map((row) => [...row, ""]),
    ];
  });
  if (rows.length === 0) return [];
  const corrected = methods.filter(({ againstUncalibrated }) => againstUncalibrated !== null).length;
  const name = "The calibrated teacher against the teacher as it is";
  const among = corrected < 2 ? "" : `, its p values corrected for ${corrected} losses (Holm)`;
  return [
    h("h3", {}, name),
    note(`Pair by pair over ${counted(seeds.length, "seed")}${among}. ${OTHERS}`),
    wide(name, ["", "figure", "calibrated", "as it is", "difference", "interval", "p"], rows),
  ];
}

/** What the other figures of each method are less those of the first one. */
function otherFigures({ data, methods, seeds }: Result): HTMLElement[] {
  const [first] = methods;
  const rows = methods.flatMap((method) =>
    method.againstFirst === null ? [] : otherRows(data, method.name, method, first, method.againstFirst),
  );
  if (rows.length === 0) return [];
  const name = `The other figures, against ${first.name}`;
  return [
    h("h3", {}, name),
    note(`Best epoch, over ${counted(seeds.length, "seed")}. ${OTHERS}`),
    wide(name, ["", "figure", "its own", "of the first", "difference", "interval"], rows),
  ];
}

const OTHERS = "Intervals of the other figures are for other seeds alone, and not corrected for the number of figures.";

function otherRows(data: Result["data"], name: string, method: Method, base: Method, against: MethodDifference) {
  const [, ...others] = metricsOf(data);
  return others.flatMap((other): Content[][] => {
    const difference = against.others[other.name];
    if (difference === undefined) return [];
    const both = [method.best, base.best].map((stats) => spreadCell(other, stats[other.name]));
    return [[name, other.label, ...both, changeOf(other, difference.mean), intervalCell(other, difference)]];
  });
}

function differenceCells(metric: Metric, of: CorrectedDifference | undefined): Content[] {
  if (of === undefined) return ["", "", ""];
  return [
    changeOf(metric, of.mean),
    intervalCell(metric, of),
    h("span", {}, isKnown(of.low) ? of.correctedPValue.toPrecision(2) : "unknown", of.significant ? " *" : ""),
  ];
}

function note(text: string): HTMLElement {
  return h("p", { class: "note" }, text);
}

function wide(caption: string, columns: readonly string[], rows: readonly Content[][]): HTMLElement {
  return table({ caption, columns, texts: 2, rows, className: "named" });
}
