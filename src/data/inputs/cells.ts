import { show } from "../../checks.js";
import type { TableColumn } from "../dataset.js";

/** A cell as a file or a program gives it. */
export type Cell = string | number;

/** The most categories of a column. */
export const MAX_CATEGORIES = 100;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

/** The finite number that a text without spaces around it is; null where it is none. Not JavaScript's `0x10` or ``. */
export function numberOf(text: string): number | null {
  const digits = shortWhole(text);
  if (digits >= 0) return digits;
  if (!NUMBER.test(text)) return null;
  const x = Number(text);
  return Number.isFinite(x) ? x : null;
}

/** The number that up to nine digits are, or -1: most cells of large tables, several times faster than the pattern. */
function shortWhole(text: string): number {
  if (text.length === 0 || text.length > 9) return -1;
  let whole = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    whole = 10 * whole + digit;
  }
  return whole;
}

/** The number of values that columns become. */
export function widthOf(columns: readonly TableColumn[]): number {
  return columns.reduce((sum, column) => sum + columnWidth(column), 0);
}

/** The number of values that a cell of the column becomes. */
export function columnWidth(column: TableColumn): number {
  return "categories" in column ? column.categories.length : 1;
}

/** Writes what a cell becomes at `out[at]` and after, where zeros stand; the problem's text where it can't. */
export function encodeCell(column: TableColumn, cell: Cell, out: Float32Array, at: number): string | null {
  if (typeof cell !== "string" && typeof cell !== "number") return `expected a text or a number, got ${show(cell)}`;
  const text = typeof cell === "string" ? cell.trim() : String(cell);
  if (text === "") return "is empty";
  if ("categories" in column) {
    const category = column.categories.indexOf(text);
    if (category < 0) return `expected one of ${listed(column.categories)}, got ${show(text)}`;
    out[at + category] = 1;
    return null;
  }
  const x = typeof cell === "number" && Number.isFinite(cell) ? cell : numberOf(text);
  if (x === null) return `expected a number, got ${show(text)}`;
  out[at] = (x - column.mean) / column.std;
  return Number.isFinite(out[at]) ? null : `${show(text)} is too far from the column's mean of ${column.mean}`;
}

/** The first text that stands a second time. */
export function firstTwice(texts: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return texts.find((text) => seen.size === seen.add(text).size);
}

/** Texts in an error: the first few. */
export function listed(texts: readonly string[], most = 5): string {
  const shown = texts.slice(0, most).map((text) => show(text));
  return texts.length > most ? `${shown.join(", ")} and ${texts.length - most} more` : shown.join(", ");
}
