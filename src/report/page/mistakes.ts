import { h } from "../../page/dom.js";
import { showCount, showPercent } from "../../show.js";
import { highest, softmax } from "../../tasks/softmax.js";
import type { Mistake } from "../report_data.js";
import { choice } from "./choice.js";
import { disclosed } from "./figure.js";
import { probabilityBars } from "./probabilities.js";

interface MistakesOptions {
  mistakes: readonly Mistake[];
  names: readonly string[];
  /** How many samples are wrong in all. */
  wrong: number;
  /** The distillation's temperature, which the slider starts at; 1 without one. */
  temperature: number;
  /** What the network is called: student, teacher. */
  network: string;
}

const FIRST = 12;
const MAX = 24;
const [COLDEST, HOTTEST] = [1, 20];

/** The samples that the student gets wrong, with what both networks believe at the temperature of a slider. */
export function mistakesSection(options: MistakesOptions): HTMLElement[] {
  const { mistakes, names, network } = options;
  const cards = mistakes.map((mistake) => mistakeCard(mistake, names, network));
  const gallery = h("ul", { class: "gallery" }, ...cards.map(({ element }) => element));
  const show = (temperature: number) => {
    for (const { update } of cards) update(temperature);
  };
  const isLearnable = ({ label, teacher }: Mistake) => teacher !== undefined && highest(teacher) === label;
  const learnable = mistakes.filter(isLearnable).length;
  const only = (wanted: boolean) => {
    let shown = 0;
    for (const [i, { element }] of cards.entries()) {
      element.hidden = (wanted && !isLearnable(mistakes[i])) || shown >= MAX;
      if (element.hidden) continue;
      element.classList.toggle("later", shown >= FIRST);
      shown += 1;
    }
    more.hidden = shown <= FIRST || gallery.classList.contains("whole");
    more.textContent = `Show all ${shown}`;
  };
  const more = h("button", { type: "button", class: "more" });
  more.addEventListener("click", () => {
    gallery.classList.add("whole");
    more.hidden = true;
  });
  const filter = choice("Which mistakes", ["Most confident", "Where the teacher was right"], (i) => only(i === 1));
  const withTeacher = mistakes.some(({ teacher }) => teacher !== undefined);
  only(false);
  show(options.temperature);
  return [
    h("p", { class: "lead" }, leadOf(options, withTeacher)),
    h("div", { class: "controls" }, slider(options.temperature, show), learnable > 0 && filter),
    withTeacher && legend(network),
    gallery,
    more,
  ].filter((part): part is HTMLElement => part instanceof HTMLElement);
}

function leadOf({ wrong, network, temperature }: MistakesOptions, withTeacher: boolean): string {
  const which = `${showCount(wrong)} are wrong; these are those on which the ${network} is most confident.`;
  if (!withTeacher) return `${which} The bars are its probabilities, its logits divided by the temperature.`;
  const chosen = temperature === 1 ? "" : ` The slider starts at ${temperature}, the temperature of the distillation.`;
  return `${which} The bars are both networks' probabilities, their logits divided by the temperature: what the teacher believes beside its first choice is what a student can learn from it.${chosen}`;
}

function legend(network: string): HTMLElement {
  const entry = (name: string, colour: string) =>
    h("li", {}, h("span", { class: "swatch block", "--colour": `var(${colour})`, "aria-hidden": "true" }), name);
  return h("ul", { class: "legend" }, entry("teacher", "--teacher"), entry(network, "--student"));
}

/** A slider with its value; a press of the button brings it back to where it began. */
function slider(start: number, show: (temperature: number) => void): HTMLElement {
  const value = h("output", { for: "temperature" }, start.toFixed(1));
  const input = h("input", {
    id: "temperature",
    type: "range",
    min: Math.min(COLDEST, start),
    max: Math.max(HOTTEST, start),
    step: Number.isInteger(2 * start) ? 0.5 : "any",
    value: start,
  });
  input.addEventListener("input", () => {
    value.textContent = input.valueAsNumber.toFixed(1);
    show(input.valueAsNumber);
  });
  return h("div", { class: "slider" }, h("label", { for: "temperature" }, "Temperature"), input, value);
}

interface Card {
  element: HTMLElement;
  update(temperature: number): void;
}

function mistakeCard(
  { index, label, student, teacher, image, cells, source, text }: Mistake,
  names: readonly string[],
  network: string,
): Card {
  const name = (i: number) => names[i] ?? String(i);
  const predicted = highest(student);
  const thumbnail = image && h("img", { src: image, alt: `Sample ${index}: ${name(label)}`, width: 72, height: 72 });
  const claim = (who: string, logits: readonly number[]) => {
    const chosen = highest(logits);
    const confidence = showPercent(softmax(logits, 1)[chosen], 1);
    const right = chosen === label;
    const text = h("small", {}, ` ${confidence}${right ? " \u2713" : ""}`);
    return [h("dt", {}, who), h("dd", { class: right ? "is-right" : "is-wrong" }, name(chosen), text)];
  };
  const facts = h(
    "dl",
    {},
    h("dt", {}, source ? "line" : "sample"),
    h("dd", source ? { title: `sample ${index}` } : {}, source ? `${source.line} of ${source.file}` : showCount(index)),
    h("dt", {}, "true"),
    h("dd", {}, h("strong", {}, name(label))),
    ...claim(network, student),
    ...(teacher ? claim("teacher", teacher) : []),
  );
  const bars = probabilityBars({ names, label, predicted, student, teacher });
  return {
    element: h(
      "li",
      { class: "card" },
      h("div", { class: "card-head" }, thumbnail || null, facts),
      bars.element,
      text !== undefined && passage(text),
      cells && cellList(cells),
    ),
    update: bars.update,
  };
}

/** More characters of a text are unfolded. */
const FIRST_CHARACTERS = 240;

/** A text, of a long one its start. */
function passage(text: string): HTMLElement {
  if (text.length <= FIRST_CHARACTERS) return h("blockquote", {}, text);
  const start = text.slice(0, FIRST_CHARACTERS).replace(/\s*\S*$/, "");
  const rest = text.slice(start.length).trim();
  return h(
    "div",
    {},
    h("blockquote", {}, `${start} \u2026`),
    disclosed("the rest", () => h("blockquote", {}, rest)),
  );
}

/** More columns are unfolded. */
const FIRST_CELLS = 6;

/** A table's row, column by column. */
function cellList(cells: NonNullable<Mistake["cells"]>): HTMLElement {
  const list = (entries: readonly [string, number | string | null][]) =>
    h(
      "dl",
      { class: "cells" },
      ...entries.flatMap(([name, value]) => [
        h("dt", {}, name),
        h("dd", {}, value === null ? "missing" : String(value)),
      ]),
    );
  const entries = Object.entries(cells);
  if (entries.length <= FIRST_CELLS) return list(entries);
  const rest = entries.slice(FIRST_CELLS);
  const more = disclosed(`${rest.length} more columns`, () => list(rest));
  return h("div", {}, list(entries.slice(0, FIRST_CELLS)), more);
}
