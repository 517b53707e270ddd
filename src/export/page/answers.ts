import { h } from "../../page/dom.js";
import { showPercent } from "../../show.js";
import type { Answer } from "../demo.js";

/** The most classes that are shown, and numbers of a vector. */
const [MAX, MAX_NUMBERS] = [10, 16];

/** The network's answer, as elements and as one line for screen readers. */
export function answerOf(answer: Answer, names: readonly string[] | null): { shown: HTMLElement; said: string } {
  if (answer instanceof Float32Array) {
    const length = Math.sqrt(answer.reduce((sum, x) => sum + x * x, 0));
    const first = Array.from(answer.subarray(0, MAX_NUMBERS), number).join(", ");
    const more = answer.length > MAX_NUMBERS ? ` and ${answer.length - MAX_NUMBERS} more` : "";
    const text = `A vector of ${answer.length} numbers, its length ${number(length)}`;
    return { shown: h("p", { class: "vector" }, `${first}${more}`), said: text };
  }
  const nameOf = (i: number) => names?.[i] ?? String(i);
  if ("values" in answer) {
    const rows = answer.values.map((x, i) => h("tr", {}, h("th", { scope: "row" }, nameOf(i)), h("td", {}, number(x))));
    const said = answer.values.map((x, i) => `${nameOf(i)} ${number(x)}`).join(", ");
    return { shown: h("table", {}, h("tbody", {}, ...rows)), said };
  }
  const { probabilities, labels } = answer;
  const all = probabilities.map((p, i) => ({ p, name: nameOf(i) }));
  // Labels keep their order if all of them fit; classes are sorted by their probability.
  const ordered = labels === undefined || all.length > MAX ? all.sort((a, b) => b.p - a.p) : all;
  const bars = ordered.slice(0, MAX).map(({ p, name }) => {
    return h(
      "li",
      {},
      h("span", { class: "name" }, name),
      h("span", { class: "track" }, h("span", { class: "bar", "--share": p })),
      h("span", { class: "share" }, showPercent(p, 1)),
    );
  });
  const [next] = ordered.slice(MAX);
  const more =
    next && h("li", { class: "more" }, `and ${ordered.length - MAX} more, at most ${showPercent(next.p, 1)} each`);
  const [best] = ordered;
  const said =
    labels === undefined ? `${best?.name}, ${showPercent(best?.p ?? 0, 1)}` : labels.join(", ") || "none of the labels";
  return { shown: h("ol", { class: "bars" }, ...bars, ...(more ? [more] : [])), said };
}

function number(x: number): string {
  return String(Number(x.toPrecision(5)));
}
