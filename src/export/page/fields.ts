import { h } from "../../page/dom.js";
import type { DemoInput, OnSample } from "../demo.js";

/** A field for each column of a table, filled with its mean or its first text. */
export function row({ columns }: Extract<DemoInput, { kind: "table" }>, onSample: OnSample): HTMLElement[] {
  const fields = columns.map((column, i) => {
    const id = `column-${i}`;
    if ("text" in column) return { column, id, field: h("textarea", { id, rows: 5 }) };
    if ("categories" in column) {
      const options = column.categories.map((text) => h("option", { value: text }, text === "" ? "(missing)" : text));
      return { column, id, field: h("select", { id }, ...options) };
    }
    const field = h("input", { id, inputmode: "decimal", autocomplete: "off" });
    // A column of its own format keeps its way of writing numbers.
    field.value = column.format === undefined ? String(Number(column.mean.toPrecision(4))) : "";
    if (column.missing) field.placeholder = "missing";
    return { column, id, field };
  });
  const form = h(
    "form",
    { class: "fields" },
    ...fields.flatMap(({ column, id, field }) => [h("label", { for: id }, column.name), field]),
  );
  const show = () => {
    // All values are passed as texts: the module reads numbers in a column's own format, and refuses what is none.
    onSample(Object.fromEntries(fields.map(({ column, field }) => [column.name, field.value])));
  };
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  queueMicrotask(show);
  return [form];
}

/** A field of numbers, as many as the network takes. */
export function numbers({ features }: Extract<DemoInput, { kind: "values" }>, onSample: OnSample): HTMLElement[] {
  const field = h("textarea", { id: "numbers", rows: 6, spellcheck: "false" });
  field.value = Array(features).fill(0).join(" ");
  const show = () => {
    const texts = field.value.split(/[\s,;[\]]+/).filter((text) => text !== "");
    onSample(texts.map(Number));
  };
  field.addEventListener("input", show);
  queueMicrotask(show);
  return [h("label", { for: "numbers" }, `${features} numbers, separated by spaces or commas`), field];
}
