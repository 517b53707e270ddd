import { columns } from "../log/columns.js";
import { printableInline } from "../log/index.js";
import { widthOf } from "./terminal.js";

type Rows = readonly (readonly string[])[];

/**
 * Rows as aligned columns: the first one left-aligned, the others right-aligned. If the table is too wide, the first
 * cell of the first row gets a line of its own; if it is still too wide, it is written in parts, each with the first
 * column.
 */
export function formatTable(given: Rows, width = widthOf(process.stdout)): string {
  const rows = given.map((row) => row.map(printableInline));
  const widths = widthsOf(rows);
  if (total(widths) <= width) return linesOf(rows, widths);
  const [[title = "", ...heads] = [], ...rest] = rows;
  const [names = 0] = widthsOf(rest);
  if (columns(title) > names) return `${title}\n${formatTable([["", ...heads], ...rest], width)}`;
  const parts: number[][] = [[]];
  for (let column = 1; column < widths.length; column++) {
    const part = parts[parts.length - 1];
    if (part.length > 0 && total([0, ...part, column].map((i) => widths[i])) > width) parts.push([column]);
    else part.push(column);
  }
  return parts
    .map((part) =>
      linesOf(
        columnsOf(rows, [0, ...part]),
        [0, ...part].map((i) => widths[i]),
      ),
    )
    .join("\n\n");
}

function widthsOf(rows: Rows): number[] {
  return (rows[0] ?? []).map((_, i) => rows.reduce((most, row) => Math.max(most, columns(row[i] ?? "")), 0));
}

/** The width of a line, with two spaces between columns. */
function total(widths: readonly number[]): number {
  return widths.reduce((sum, one) => sum + one + 2, -2);
}

function columnsOf(rows: Rows, places: readonly number[]): string[][] {
  return rows.map((row) => places.map((i) => row[i] ?? ""));
}

function linesOf(rows: Rows, widths: readonly number[]): string {
  const padded = (cell: string, i: number) => {
    const room = " ".repeat(widths[i] - columns(cell));
    return i === 0 ? cell + room : room + cell;
  };
  const line = (row: readonly string[]) => row.map(padded).join("  ");
  return rows.map(line).join("\n");
}
