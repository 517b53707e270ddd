import { argumentError, show } from "../checks.js";
import { badData } from "../files/index.js";
import { native } from "../native.js";
import type { TableColumn, TableLayout } from "./dataset.js";
import { columnWidth, widthOf } from "./preprocessing/spec.js";
import { newRows, type RowData, type RowSource } from "./row_source.js";
import { measureColumns, unfitText } from "./statistics.js";
import { layoutOf } from "./table_header.js";
import type { TableReader } from "./table_reader.js";

/**
 * The layout of a table: its numbers measured over the rows with these ascending indices, its texts in their order.
 * `visit` is shown all rows on the first of the two passes.
 */
export async function measureTable(
  reader: TableReader,
  rows: RowSource,
  { measured, standardize }: { measured: Int32Array; standardize: boolean },
  visit: readonly ((data: RowData) => void)[],
): Promise<TableLayout> {
  const { mean, std, count } = await measureColumns(rows, measured, visit);
  const columns = reader.columns.map(({ name, codes, format, missing }, c): TableColumn => {
    if (codes) return { name, categories: [...codes.keys(), ...(missing > 0 ? [""] : [])].sort() };
    if (count[c] === 0) throw badData(reader.file, `${show(name)}: all its cells are missing: leave the column out`);
    const problem = standardize ? unfitText(mean[c], std[c]) : null;
    if (problem !== null) throw badData(reader.file, `${show(name)}: ${problem}`);
    const numbers = standardize ? { name, mean: mean[c], std: std[c] } : { name, mean: 0, std: 1 };
    const absent = reader.missing === "mean" ? true : missing > 0 ? "category" : undefined;
    if (absent && !standardize) {
      const text = `a missing number is the mean of ${show(name)}, which needs standardised columns: leave standardize out`;
      throw argumentError("missing", text);
    }
    return { ...numbers, ...(absent && { missing: absent }), ...(format && { format }) };
  });
  return { columns, ...layoutOf(reader.header) };
}

/** The rows of a table as values: numbers standardised, texts one-hot. */
export class EncodedRows implements RowSource {
  readonly dtype = "float32";
  readonly length: number;
  readonly shape: readonly number[];
  /** By column: the index of its first value, its mean and deviation, and the index of each code's value. */
  readonly #columns: readonly EncodedColumn[];

  constructor(
    private readonly rows: RowSource,
    private readonly reader: TableReader,
    { columns }: TableLayout,
  ) {
    this.length = rows.length;
    this.shape = [widthOf(columns)];
    let at = 0;
    this.#columns = columns.map((column, i) => {
      const own = at;
      at += columnWidth(column);
      if ("mean" in column) {
        const { mean, std } = column;
        return { at: own, mean, std, codes: null, missing: column.missing === "category" ? 1 : -1 };
      }
      if ("text" in column) throw new Error("texts are read as ids");
      const codes = [...(reader.columns[i].codes ?? [])].map(([text]) => column.categories.indexOf(text));
      return { at: own, mean: 0, std: 1, codes, missing: column.categories.indexOf("") };
    });
  }

  read(start: number, end: number, into: RowData = newRows(this, end - start)): RowData {
    const cells = this.rows.read(start, end);
    const [columns, width] = [this.#columns.length, this.shape[0]];
    into.fill(0);
    for (let row = 0; row < end - start; row++) {
      for (let c = 0; c < columns; c++) {
        const { at, mean, std, codes, missing } = this.#columns[c];
        const cell = cells[row * columns + c];
        if (Number.isNaN(cell)) {
          if (missing >= 0) into[row * width + at + missing] = 1;
        } else if (codes === null) into[row * width + at] = (cell - mean) / std;
        else into[row * width + at + codes[cell]] = 1;
      }
    }
    const wrong = native.firstNonFinite(into as Float32Array);
    if (wrong < 0) return into;
    const [row, value] = [Math.floor(wrong / width), wrong % width];
    const c = this.#columns.findLastIndex(({ at }) => at <= value);
    const { name } = this.reader.columns[c];
    const text = `${show(name)}: ${cells[row * columns + c]} becomes a number beyond float32's range`;
    throw badData(this.reader.file, `row ${start + row + 1}, ${text}`);
  }
}

interface EncodedColumn {
  readonly at: number;
  readonly mean: number;
  readonly std: number;
  readonly codes: readonly number[] | null;
  /** The offset of the value that says whether the cell is missing; -1: there is none. */
  readonly missing: number;
}
