import type { PairedDifference } from "../../compare/statistics.js";
import { type Figure, unitOf } from "../../tasks/figures.js";
import { percent } from "../text.js";
import { changeOf } from "../verdict.js";
import { h } from "./dom.js";
import { figure } from "./figure.js";
import { table } from "./table.js";

/** The difference on a scale around zero: a mark for each seed, the mean, and the interval. */
export function intervalFigure(shown: Figure, difference: PairedDifference, seeds: readonly number[]): HTMLElement {
  const points = (x: number) => changeOf(shown, x);
  const { values, mean, low, high, confidence } = difference;
  const known = isKnown(low) && isKnown(high);
  const all = [0, ...values, ...(known ? [low, high] : [])];
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const room = (most - least || 0.01) * 0.08;
  const [start, end] = [least - room, most + room];
  const place = (x: number) => `${((100 * (x - start)) / (end - start)).toFixed(2)}%`;
  const image = h(
    "div",
    { class: "interval" },
    known && h("span", { class: "range", "--from": place(low), "--to": place(high) }),
    h("span", { class: "zero", "--at": place(0) }),
    h("span", { class: "zero-name", "--at": place(0), "--shift": shift(place(0)) }, "no difference"),
    ...values.map((value) => h("span", { class: "seed", "--at": place(value) })),
    h("span", { class: "mean", "--at": place(mean) }),
    h(
      "span",
      { class: "mean-name", "--at": place(mean), "--shift": shift(place(mean)) },
      `${points(mean)}${unitOf(shown)}`,
    ),
  );
  const range = known
    ? `The bar is the ${percent(confidence, 0)} interval of the mean, ${points(low)} to ${points(high)}${unitOf(shown)}.`
    : "";
  return figure({
    title: `Distilled minus baseline, in ${shown.kind === "share" ? "points of " : ""}test ${shown.label}`,
    level: 2,
    description: `A mark for each seed, the dot their mean. ${range}`,
    image,
    data: () =>
      table({
        caption: "The difference by seed",
        columns: [{ name: "seed" }, { name: shown.kind === "share" ? "points" : shown.label }],
        rows: [...values.map((value, i) => [String(seeds[i]), points(value)]), ["mean", points(mean)]],
      }),
    className: "wide",
  });
}

/** How a text is moved to the left of its place: by half of it, less near an end of the scale. */
function shift(place: string): string {
  return `-${place}`;
}

/** JSON has no infinity: it arrives as null. */
function isKnown(x: number | null): boolean {
  return x !== null && Number.isFinite(x);
}
