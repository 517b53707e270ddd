import type { Answer } from "../demo.js";
import { element } from "./element.js";

/** The most classes that are shown, and numbers of a vector. */
const [MAX, MAX_NUMBERS] = [10, 16];

/** What the network says, as elements, and in a line for those who listen. */
export function answerOf(answer: Answer, names: readonly string[] | null): { shown: HTMLElement; said: string } {
  if (answer instanceof Float32Array) {
    const length = Math.sqrt(answer.reduce((sum, x) => sum + x * x, 0));
    const first = Array.from(answer.subarray(0, MAX_NUMBERS), number).join(", ");
    const more = answer.length > MAX_NUMBERS ? ` and ${answer.length - MAX_NUMBERS} more` : "";
    const text = `A vector of ${answer.length} numbers, its length ${number(length)}`;
    return { shown: element("p", { class: "vector" }, `${first}${more}`), said: text };
  }
  const nameOf = (i: number) => names?.[i] ?? String(i);
  if ("values" in answer) {
    const rows = answer.values.map((x, i) =>
      element("tr", {}, element("th", { scope: "row" }, nameOf(i)), element("td", {}, number(x))),
    );
    const said = answer.values.map((x, i) => `${nameOf(i)} ${number(x)}`).join(", ");
    return { shown: element("table", {}, element("tbody", {}, ...rows)), said };
  }
  const { probabilities, labels } = answer;
  const all = probabilities.map((p, i) => ({ p, name: nameOf(i) }));
  // Labels keep their places, classes come by their probability.
  const ordered = labels === undefined ? all.sort((a, b) => b.p - a.p) : all;
  const bars = ordered.slice(0, MAX).map(({ p, name }) => {
    const bar = element("span", { class: "bar" });
    bar.style.width = `${100 * p}%`;
    return element(
      "li",
      {},
      element("span", { class: "name" }, name),
      element("span", { class: "track" }, bar),
      element("span", { class: "share" }, percent(p)),
    );
  });
  const [best] = ordered;
  const said =
    labels === undefined ? `${best?.name}, ${percent(best?.p ?? 0)}` : labels.join(", ") || "none of the labels";
  return { shown: element("ol", { class: "bars" }, ...bars), said };
}

function percent(p: number): string {
  return `${(100 * p).toFixed(1)}%`;
}

function number(x: number): string {
  return String(Number(x.toPrecision(5)));
}
