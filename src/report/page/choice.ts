import { h, newId } from "../../page/dom.js";

/** A few alternatives beside each other, of which one holds; the first at the beginning. */
export function choice(label: string, names: readonly string[], chosen: (i: number) => void): HTMLElement {
  const group = newId("choice");
  const entries = names.map((name, i) => {
    const input = h("input", { type: "radio", name: group, checked: i === 0 });
    input.addEventListener("change", () => chosen(i));
    return h("label", {}, input, h("span", {}, name));
  });
  return h("fieldset", { class: "choice" }, h("legend", { class: "unseen" }, label), ...entries);
}
