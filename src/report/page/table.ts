import { type Content, h } from "../../page/dom.js";

/** A column of a table; numbers are right-aligned. */
interface Column {
  name: string;
  text?: boolean;
}

interface TableOptions {
  /** Said by screen readers, and not shown. */
  caption: string;
  columns: readonly Column[];
  /** The first cell of each names the row. */
  rows: readonly (readonly Content[])[];
  className?: string;
}

/** A table that scrolls inside its own box if it is too wide or too long. */
export function table({ caption, columns, rows, className = "" }: TableOptions): HTMLElement {
  const kind = (i: number) => (columns[i]?.text ? "text" : "number");
  // A heading without a name is none.
  const head = columns.map(({ name }, i) =>
    name === "" ? h("td", { class: kind(i) }) : h("th", { scope: "col", class: kind(i) }, name),
  );
  const body = rows.map((row) =>
    h(
      "tr",
      {},
      ...row.map((cell, i) =>
        i === 0 ? h("th", { scope: "row", class: kind(i) }, cell) : h("td", { class: kind(i) }, cell),
      ),
    ),
  );
  const whole = h(
    "table",
    { class: className },
    h("caption", { class: "unseen" }, caption),
    h("thead", {}, h("tr", {}, ...head)),
    h("tbody", {}, ...body),
  );
  return scrolling(whole, caption);
}

/** A box that the keyboard can scroll. */
export function scrolling(content: HTMLElement, label: string): HTMLElement {
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, content);
}
