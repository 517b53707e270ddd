import { chanceIn } from "../../compare/chance_in.js";
import type { SourceOfChance } from "../../compare/crossed_difference.js";
import type { CompareResult } from "../../compare/results.js";
import { type Content, h } from "../../page/dom.js";
import { showPercent } from "../../show.js";
import { type Metric, unitOf } from "../../tasks/metrics.js";
import { changeOf } from "../text.js";
import { isKnown, pCell } from "./cells.js";
import { figure } from "./figure.js";
import { table } from "./table.js";

/** A row of the figure: a mean with its interval. */
interface Row {
  name: string;
  /** What its interval is for. */
  note: string;
  mean: number;
  low: number;
  high: number;
  p: number;
  /** Marks, one a seed. */
  marks?: readonly number[];
  /** Whether it shows only a part of the chance involved, and is drawn paler. */
  part?: boolean;
}

/** The differences on one scale around zero: with all chance in them, of each source alone, and at other weights. */
export function intervalFigure(
  shown: Metric,
  difference: CompareResult["difference"],
  /** `of`: who is compared with the baseline. */
  { seeds, of }: { seeds: readonly number[]; of: string },
): HTMLElement {
  const write = (x: number) => changeOf(shown, x);
  const { best, last, validation } = difference;
  const hasParts = isKnown(best.samples.low);
  const part = (name: string, note: string, source: SourceOfChance): Row[] =>
    hasParts ? [{ name, note, ...rowOf({ ...best, ...source }), part: true }] : [];
  const all: Row[] = [
    { name: "Best epoch", note: chanceIn(best), ...rowOf(best), marks: best.values },
    ...part("seeds alone", "other seeds, these samples", best.seeds),
    ...part("samples alone", "these seeds, other samples", best.samples),
    { name: "Last epoch", note: chanceIn(last), ...rowOf(last), marks: last.values },
    {
      name: "Validation set",
      note: "best epoch, other seeds; it chose the epochs",
      ...rowOf(validation),
      marks: validation.values,
    },
  ];
  const place = scaleOf(all);
  const image = h("div", { class: "forest" }, ...all.map((row) => rowElement(row, place, write)));
  return figure({
    title: `${of} minus baseline, in ${shown.kind === "fraction" ? "points of " : ""}${shown.label}`,
    level: 2,
    description: `A mark for each seed, the dot their mean, the bar its ${showPercent(best.confidence, 0)} interval. The first row is the answer${hasParts ? "; the two below it are its parts" : ""}. All but the last are of the test set.`,
    image,
    data: () => numbers(all, seeds, shown),
    className: "wide",
  });
}

function rowOf({ mean, low, high, pValue: p }: { mean: number; low: number; high: number; pValue: number }) {
  return { mean, low, high, p };
}

/** Where a value is on the scale of all rows, in percent of its width. */
function scaleOf(rows: readonly Row[]): (x: number) => string {
  const known = rows.flatMap(({ mean, low, high, marks = [] }) => [mean, ...marks, ...[low, high].filter(isKnown)]);
  const all = [0, ...known];
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const room = (most - least || 0.01) * 0.05;
  const [start, end] = [least - room, most + room];
  return (x) => showPercent((x - start) / (end - start));
}

function rowElement(
  { name, note, mean, low, high, marks = [], part = false }: Row,
  place: (x: number) => string,
  points: (x: number) => string,
) {
  const known = isKnown(low) && isKnown(high);
  const track = h(
    "div",
    { class: "interval" },
    h("span", { class: "zero", "--at": place(0) }),
    known && h("span", { class: "range", "--from": place(low), "--to": place(high) }),
    ...marks.map((value) => h("span", { class: "seed", "--at": place(value) })),
    h("span", { class: "mean", "--at": place(mean) }),
  );
  const range = known ? `${points(low)} to ${points(high)}` : "interval unknown";
  return h(
    "div",
    { class: part ? "forest-row part" : "forest-row" },
    h("div", {}, h("strong", {}, name), h("small", {}, note)),
    track,
    h("div", { class: "forest-value" }, h("strong", {}, points(mean)), h("small", {}, range)),
  );
}

function numbers(rows: readonly Row[], seeds: readonly number[], shown: Metric): HTMLElement {
  const points = (x: number) => changeOf(shown, x);
  const columns = ["", unitOf(shown).trim() || "difference", "from", "to", "p", ...seeds.map((seed) => `seed ${seed}`)];
  return table({
    caption: "Differences with their intervals",
    columns,
    rows: rows.map(({ name, mean, low, high, p, marks }): Content[] => [
      name,
      points(mean),
      ...[low, high].map((x) => (isKnown(x) ? points(x) : "unknown")),
      pCell(p, low),
      ...seeds.map((_, i) => (marks?.[i] === undefined ? "" : points(marks[i]))),
    ]),
  });
}
