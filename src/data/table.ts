import { show, showList } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { badData } from "../files/index.js";
import { native } from "../native.js";
import type { TableColumn, TableLayout } from "./dataset.js";
import type { TableOptions } from "./load_options.js";
import { isForeignNumber, isMissing, parseNumber } from "./preprocessing/encode.js";
import { columnWidth, firstRepeated, MAX_CATEGORIES, widthOf } from "./preprocessing/spec.js";
import { newRows, type RowData, type RowSource } from "./row_source.js";
import { measureColumns } from "./standardize.js";

/** The columns of a file: their names, which are their indices if no line names them. */
interface TableHeader {
  readonly names: readonly string[];
  readonly isNamed: boolean;
  /** The index of the label. */
  readonly label: number;
}

/** Where the columns that are wanted are in the records of a file. */
export interface ColumnIndices {
  readonly columns: readonly number[];
  /** -1: the file has no labels. */
  readonly label: number;
  /** The cells of a record. */
  readonly width: number;
}

/** The usual names of the column of the classes. */
const LABELS = ["label", "class", "target", "y"];

/** Whether a first record names columns: none of its cells is a number, or one is a usual name of labels. */
function namesColumns(cells: readonly string[], line: number, file: string): boolean {
  const numbers = cells.filter((cell) => parseNumber(cell) !== null);
  if (numbers.length === 0 || cells.some(isLabel)) return true;
  // As pandas writes columns without names, beside a named one.
  const areIndices =
    numbers.length > 1 && numbers.length < cells.length && numbers.every((x, i) => cells[i] === x && x === String(i));
  if (!areIndices) return false;
  const text = `${showList(cells)} could name the columns or be a row: say which with header`;
  throw badData(file, `line ${line}: ${text} (--header, --no-header)`);
}

/** The header of a file with this first record; `BAD_DATA` if names repeat, `BAD_ARGUMENT` if there is no such column. */
export function readTableHeader(
  cells: readonly string[],
  line: number,
  file: string,
  { labelColumn, header = namesColumns(cells, line, file) }: TableOptions,
): TableHeader {
  const names = header ? expectNames(cells, line, file) : cells.map((_, index) => String(index));
  if (names.length < 2) throw badData(file, `line ${line}: expected at least two columns, got ${names.length}`);
  const label =
    labelColumn === undefined ? usualLabel(names, header, line, file) : chosenLabel(names, labelColumn, file);
  return { names, isNamed: header, label };
}

/** The indices of the values and of the label in the file that has this header. */
export function indicesOf({ names, label }: TableHeader): ColumnIndices {
  const columns = names.map((_, index) => index).filter((index) => index !== label);
  return { columns, label, width: names.length };
}

/**
 * The indices of columns in another file with this first record: by name, in any order and among others; without names,
 * in their order, with or without the label. `BAD_DATA` for one that is missing.
 */
export function findColumns(
  { columns, label, header }: Pick<TableLayout, "label" | "header"> & { columns: readonly { name: string }[] },
  cells: readonly string[],
  line: number,
  file: string,
): ColumnIndices {
  const width = cells.length;
  if (!header) {
    if (width === columns.length) return { columns: columns.map((_, index) => index), label: -1, width };
    if (width === columns.length + 1) return indicesOf({ names: cells, label: label.index, isNamed: false });
    const text = `expected ${columns.length + 1} cells, or ${columns.length} without the label, got ${width}`;
    throw badData(file, `line ${line}: ${text}`);
  }
  const names = expectNames(cells, line, file);
  const indices = columns.map(({ name }) => names.indexOf(name));
  const missing = columns[indices.indexOf(-1)];
  if (missing === undefined) return { columns: indices, label: names.indexOf(label.name), width };
  throw badData(file, `line ${line}: no column is called ${show(missing.name)}, as one of the training file`);
}

/** `BAD_DATA` for a record that is longer or shorter than the first. */
export function expectWidth(cells: readonly string[], { width }: ColumnIndices, line: number, file: string): void {
  if (cells.length !== width) throw badData(file, `line ${line}: expected ${width} cells, got ${cells.length}`);
}

/** A column as it is read: the codes of its texts, null for numbers, undefined before its first cell. */
interface ReadColumn {
  readonly name: string;
  codes: Map<string, number> | null | undefined;
}

/**
 * Makes the records of a file into rows of numbers: a number as it is, a text as its code in the order of appearance. The
 * first cell of a column says whether it holds numbers; a test file continues the columns of the training file.
 */
export class TableReader {
  /** In the order of the training file, without the label; their codes are null for numbers. */
  readonly columns: ReadColumn[] = [];
  /** The code of each label read so far. */
  readonly labels: number[] = [];
  /** The code of each label's text, and the line that has it first. */
  readonly #labelTexts = new Map<string, { code: number; line: number }>();

  constructor(
    readonly file: string,
    readonly header: TableHeader,
    private readonly indices: ColumnIndices,
    readonly missing: TableOptions["missing"] = "error",
    private readonly training?: TableReader,
  ) {
    if (training !== undefined) this.columns = training.columns;
  }

  /** The name and index of the label. */
  get label(): TableLayout["label"] {
    return { name: this.header.names[this.header.label], index: this.header.label };
  }

  /** A record in its row of numbers; `BAD_DATA` with file, line and column for a cell that does not fit. */
  readRow(cells: readonly string[], line: number, out: RowData, at: number): void {
    expectWidth(cells, this.indices, line, this.file);
    const { columns } = this.indices;
    if (this.columns.length === 0) {
      for (const index of columns) this.columns.push({ name: this.header.names[index], codes: undefined });
    }
    // By index: a table of images has a column a pixel.
    for (let i = 0; i < columns.length; i++) out[at + i] = this.#value(i, cells[columns[i]], line);
  }

  /** A record's label. */
  readLabel(cells: readonly string[], line: number): void {
    const text = cells[this.indices.label];
    if (text === "") throw badData(this.file, `line ${line}: its label, ${show(this.label.name)}, is empty`);
    if (isMissing(text) && text !== "-") {
      const problem = `its label, ${show(this.label.name)}, is missing: ${show(text)}`;
      throw badData(this.file, `line ${line}: ${problem}: leave the row out`);
    }
    const known = this.#labelTexts.get(text);
    if (known === undefined) this.#labelTexts.set(text, { code: this.#labelTexts.size, line });
    this.labels.push(known?.code ?? this.#labelTexts.size - 1);
  }

  /**
   * The names of the classes, sorted: by their number if all labels are whole numbers, otherwise as texts. `BAD_DATA` if
   * they are numbers but not whole ones, as those of a regression.
   */
  classNames(): string[] {
    const texts = [...this.#labelTexts.keys()];
    const numbers = texts.map(parseNumber);
    // A code such as 007 is no number.
    if (texts.some((text) => /^0\d/.test(text))) return texts.sort();
    if (numbers.includes(null)) {
      this.#expectTexts(texts.filter((_, i) => numbers[i] === null));
      return texts.sort();
    }
    for (const [text, { line }] of this.#labelTexts) {
      if (Number.isSafeInteger(parseNumber(text))) continue;
      throw badData(this.file, `line ${line}: expected a class as label, ${show(this.label.name)}, got ${show(text)}`);
    }
    return [...new Set(numbers as number[])].sort((a, b) => a - b).map(String);
  }

  /** The classes of the rows; `BAD_DATA` with the line of a label that is no class. */
  classes(names: readonly string[]): Int32Array {
    const indices = new Map(names.map((name, index) => [name, index]));
    const classes = [...this.#labelTexts].map(([text, { line }]) => {
      const number = parseNumber(text);
      const index = indices.get(text) ?? (number === null ? undefined : indices.get(String(number)));
      if (index !== undefined) return index;
      throw badData(this.file, `line ${line}: the label ${show(text)} is not in the training file`);
    });
    return Int32Array.from(this.labels, (code) => classes[code]);
  }

  /** Refuses a few labels that are no numbers among many that are: they would make texts of all. */
  #expectTexts(odd: readonly string[]): void {
    const codes = new Set(odd.map((text) => this.#labelTexts.get(text)?.code));
    const rows = this.labels.reduce((sum, code) => sum + (codes.has(code) ? 1 : 0), 0);
    if (odd.length > 1 || this.#labelTexts.size < 4 || rows * 10 > this.labels.length) return;
    const { line } = this.#labelTexts.get(odd[0]) as { line: number };
    const problem = `expected a number as label, ${show(this.label.name)}, as nearly all others are`;
    throw badData(this.file, `line ${line}: ${problem}, got ${show(odd[0])}`);
  }

  /** The number of a cell, NaN for a missing one. */
  #value(index: number, cell: string, line: number): number {
    const column = this.columns[index];
    const fail = (problem: string) => badData(this.file, `line ${line}, ${show(column.name)}: ${problem}`);
    if (isMissing(cell)) {
      if (this.missing === "mean") return Number.NaN;
      throw fail(
        `${cell === "" ? "is empty" : `is missing: ${show(cell)}`}: missing (--missing) says what becomes of it`,
      );
    }
    const x = parseNumber(cell);
    // The first cell that is not missing says what the column holds.
    if (column.codes === undefined) column.codes = x === null ? new Map() : null;
    const { codes } = column;
    if (codes === null) {
      if (x !== null) return x;
      const advice = isForeignNumber(cell) ? ": write it with a decimal point, without separators and signs" : "";
      throw fail(`expected a number, as in the first row, got ${show(cell)}${advice}`);
    }
    if (codes.size === 0 && isForeignNumber(cell)) {
      throw fail(`${show(cell)} looks like a number: write it with a decimal point, without separators and signs`);
    }
    const known = codes.get(cell);
    if (known !== undefined) return known;
    if (this.training !== undefined) throw fail(`${show(cell)} is not in the training file`);
    if (codes.size === MAX_CATEGORIES) {
      const advice = `only numbers and columns of at most ${MAX_CATEGORIES} texts are read: leave the column out`;
      throw fail(`a column of texts, ${show(cell)} is number ${MAX_CATEGORIES + 1}: ${advice}`);
    }
    codes.set(cell, codes.size);
    return codes.size - 1;
  }
}

/**
 * The layout of a table: its numbers measured over the rows with these ascending indices, its texts in their order.
 * `visit` is shown all rows on the first of the two passes.
 */
export async function measureTable(
  reader: TableReader,
  rows: RowSource,
  { measured, step, standardize }: { measured: Int32Array; step: number; standardize: boolean },
  visit: readonly ((data: RowData) => void)[],
): Promise<TableLayout> {
  const { mean, std, count } = await measureColumns(rows, measured, step, visit);
  const columns = reader.columns.map(({ name, codes }, c): TableColumn => {
    const isIncomplete = reader.missing === "mean" && count[c] < measured.length;
    if (codes) return { name, categories: [...codes.keys(), ...(isIncomplete ? [""] : [])].sort() };
    if (count[c] === 0) throw badData(reader.file, `${show(name)}: all its cells are missing: leave the column out`);
    if (Number.isFinite(mean[c]) && Number.isFinite(std[c])) {
      const numbers = standardize ? { name, mean: mean[c], std: std[c] } : { name, mean: 0, std: 1 };
      return reader.missing === "mean" ? { ...numbers, missing: true } : numbers;
    }
    throw badData(reader.file, `${show(name)}: its numbers are too large to be standardised`);
  });
  return { columns, label: reader.label, header: reader.header.isNamed };
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
      if ("mean" in column) return { at: own, mean: column.mean, std: column.std, codes: null, missing: 0 };
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
          if (codes !== null && missing >= 0) into[row * width + at + missing] = 1;
        } else if (codes === null) into[row * width + at] = (cell - mean) / std;
        else into[row * width + at + codes[cell]] = 1;
      }
    }
    const wrong = native.firstNonFinite(into as Float32Array);
    if (wrong < 0) return into;
    const row = start + Math.floor(wrong / width) + 1;
    throw badData(this.reader.file, `row ${row}: a number is too far from its column's mean`);
  }
}

interface EncodedColumn {
  readonly at: number;
  readonly mean: number;
  readonly std: number;
  readonly codes: readonly number[] | null;
  /** The category of missing cells; -1: none. */
  readonly missing: number;
}

function expectNames(cells: readonly string[], line: number, file: string): readonly string[] {
  const empty = cells.indexOf("");
  if (empty >= 0) {
    const advice = "name it, or leave it out (an index of pandas: to_csv(index=False))";
    throw badData(file, `line ${line}: column ${empty} has no name: ${advice}`);
  }
  const twice = firstRepeated(cells);
  if (twice !== undefined) throw badData(file, `line ${line}: two columns are called ${show(twice)}`);
  return cells;
}

function usualLabel(names: readonly string[], header: boolean, line: number, file: string): number {
  const found = header ? names.filter(isLabel) : [];
  if (found.length > 1) {
    throw badData(file, `line ${line}: ${showList(found)} could each be the label: say which with labelColumn`);
  }
  return found.length === 1 ? names.indexOf(found[0]) : names.length - 1;
}

function isLabel(name: string): boolean {
  return LABELS.includes(name.toLowerCase());
}

function chosenLabel(names: readonly string[], column: string | number, file: string): number {
  const named = names.indexOf(String(column));
  if (typeof column === "string" && named >= 0) return named;
  const index = typeof column === "string" && !/^-?\d+$/.test(column) ? Number.NaN : Number(column);
  const fromStart = index < 0 ? names.length + index : index;
  if (Number.isInteger(index) && fromStart >= 0 && fromStart < names.length) return fromStart;
  const text = `expected a column of ${file}, ${showList(names, 8)}, or its index from 0, got ${show(column)}`;
  throw new DistilleryError("BAD_ARGUMENT", `labelColumn: ${text}`);
}
