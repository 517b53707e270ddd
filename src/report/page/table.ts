import { type Content, h } from "../../page/dom.js";

interface TableOptions {
  /** Said by screen readers, and not shown. */
  caption: string;
  columns: readonly string[];
  /** How many columns from the first on are texts, the others numbers, which are right-aligned; default 1. */
  texts?: number;
  /** The first cell of each names the row. */
  rows: readonly (readonly Content[])[];
  className?: string;
}

/** A table that scrolls inside its own box if it is too wide or too long. */
export function table({ caption, columns, texts = 1, rows, className = "" }: TableOptions): HTMLElement {
  const kind = (i: number) => (i < texts ? "text" : "number");
  // A header cell without a name would be read out as an empty heading.
  const head = columns.map((name, i) =>
    name === "" ? h("td", { class: kind(i) }) : h("th", { scope: "col", class: kind(i) }, name),
  );
  const body = rows.map((row) =>
    h(
      "tr",
      {},
      ...row.map((cell, i) => {
        const content = i < texts ? textCell(cell) : cell;
        return i === 0 ? h("th", { scope: "row", class: kind(i) }, content) : h("td", { class: kind(i) }, content);
      }),
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

const MAX_IN_LINE = 40;

/** What a cell with a text holds: a long one takes several lines, so that the figures beside it stay in sight. */
export function textCell(cell: Content): Content {
  return typeof cell === "string" && cell.length > MAX_IN_LINE ? h("span", { class: "long" }, cell) : cell;
}

/** A box that the keyboard can scroll. */
export function scrolling(content: HTMLElement, label: string): HTMLElement {
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, content);
}
