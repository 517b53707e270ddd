/** How a column is set. */
export interface Column {
  readonly title: string;
  readonly width: number;
  readonly left?: boolean;
}

/** A table whose rows are printed as they come. */
export class Table {
  readonly #columns: readonly Column[];

  constructor(columns: readonly Column[]) {
    this.#columns = columns;
  }

  /** A title, the columns' titles and a rule. */
  heading(title: string): string {
    const titles = this.row(this.#columns.map((column) => column.title));
    const width = this.#columns.reduce((sum, column) => sum + column.width, 0);
    return `\n${title}\n${titles}\n${"-".repeat(width)}`;
  }

  /** A line; a cell wider than its column moves the rest. */
  row(cells: readonly string[]): string {
    const set = this.#columns.map(({ width, left }, i) =>
      left ? (cells[i] ?? "").padEnd(width) : (cells[i] ?? "").padStart(width),
    );
    return set.join("").trimEnd();
  }
}

/** Three digits that count. */
export function digits(x: number): string {
  return Math.abs(x) >= 100 ? x.toFixed(0) : x.toPrecision(3);
}

/** A share as a percentage; nothing where there is none. */
export function percent(share: number | null | undefined): string {
  return share == null ? "" : `${(share * 100).toFixed(0)}%`;
}
