import { show } from "../checks.js";
import { badData } from "../files/index.js";
import type { TableOptions } from "./load_options.js";
import { isMissing } from "./preprocessing/encode.js";
import {
  FormatFinder,
  formatText,
  isNumberLike,
  type NumberFormat,
  type OddCell,
  parseFormatted,
  parseNumber,
} from "./preprocessing/number_format.js";
import { MAX_CATEGORIES } from "./preprocessing/spec.js";
import type { RowData } from "./row_source.js";
import { type ColumnIndices, expectNoList, expectWidth, type TableHeader } from "./table_header.js";
import { TableLabels } from "./table_labels.js";

/** A way out for a column that cannot be read. */
const DROP = "leave the column out with dropColumns (--drop-columns)";

/** A column of the training file: what its cells are, which is known when all of them were seen. */
class ReadColumn {
  /** Cells that are missing. */
  missing = 0;
  #numbers = 0;
  #texts = 0;
  #firstText: OddCell | null = null;
  /** The first text beyond the maximum number of categories. */
  #tooMany: OddCell | null = null;
  readonly #finder = new FormatFinder();
  /** The code of each text. */
  readonly #codes = new Map<string, number>();
  #format: NumberFormat | null = null;

  constructor(
    readonly name: string,
    private readonly file: string,
  ) {}

  /** The codes of its texts; null for numbers. */
  get codes(): ReadonlyMap<string, number> | null {
    return this.#texts === 0 ? null : this.#codes;
  }

  /** How its numbers are written; null: as 1234.5. */
  get format(): NumberFormat | null {
    return this.#format;
  }

  /** Whether {@link see} returned other values for some cells than {@link value} does now. */
  get isOther(): boolean {
    return this.#texts === 0 ? this.#format !== null || !this.#finder.isPlain : this.#numbers > 0;
  }

  /** Takes note of a cell that is not missing: the number that it is, or the code of a text. */
  see(cell: string, line: number): number {
    const x = parseNumber(cell);
    if (x !== null) this.#finder.addPlain(cell, line);
    if (x === null && !this.#finder.addForeign(cell, line)) {
      expectNoList(cell, this.name, line, this.file);
      this.#texts++;
      this.#firstText ??= { cell, line };
      return this.#code(cell, line);
    }
    this.#numbers++;
    // In a column with texts, a number counts as a text too.
    if (this.#texts > 0) this.#code(cell, line);
    return x ?? Number.NaN;
  }

  /** The decimal mark of its numbers if they tell. */
  get decimal(): "." | "," | null {
    return this.#texts === 0 ? this.#finder.decimal : null;
  }

  /** Decides what the column holds; `marks` are the decimal marks of the other columns. */
  finish(marks: ReadonlySet<"." | ",">): void {
    if (this.#texts === 0) {
      const found = this.#finder.find(marks);
      if (found === null || !("problem" in found)) this.#format = found;
      else {
        const advice = "write all numbers of the column alike, with a decimal point";
        throw this.#refuse(found, `${show(found.cell)} ${found.problem}: ${advice}`);
      }
      return;
    }
    if (this.#numbers >= this.#texts && this.#firstText !== null) {
      const others = `as ${this.#numbers} of ${this.#numbers + this.#texts} cells are`;
      const advice = `correct it, or ${DROP}`;
      throw this.#refuse(this.#firstText, `expected a number, ${others}, got ${show(this.#firstText.cell)}: ${advice}`);
    }
    this.expectFew();
  }

  /** Refuses more texts than can be categories. */
  expectFew(): void {
    if (this.#tooMany === null) return;
    const limit = `only numbers and columns of at most ${MAX_CATEGORIES} texts are read, or one column of texts to read (--text-column)`;
    const { cell } = this.#tooMany;
    throw this.#refuse(
      this.#tooMany,
      `a column of texts, ${show(cell)} is number ${MAX_CATEGORIES + 1}: ${limit}: ${DROP}`,
    );
  }

  /** A cell of a column whose texts are not all known yet; see {@link isOther}. */
  recode(cell: string, line: number): void {
    if (this.#texts > 0) this.#code(cell, line);
  }

  /** What a cell is, when the column is known: its number, or the code of its text; or what is wrong with it. */
  value(cell: string): number | string {
    if (this.#texts > 0) return this.#codes.get(cell) ?? `${show(cell)} is not in the training file`;
    const x = this.#format === null ? parseNumber(cell) : parseFormatted(cell, this.#format);
    if (x !== null) return x;
    const written = this.#format === null ? "" : `, written with ${formatText(this.#format)}`;
    return `expected a number${written}, as in the training file, got ${show(cell)}`;
  }

  #code(cell: string, line: number): number {
    const known = this.#codes.get(cell);
    if (known !== undefined) return known;
    if (this.#codes.size < MAX_CATEGORIES) this.#codes.set(cell, this.#codes.size);
    else this.#tooMany ??= { cell, line };
    return this.#codes.size - 1;
  }

  #refuse({ line }: OddCell, problem: string): Error {
    return badData(this.file, `line ${line}, ${show(this.name)}: ${problem}`);
  }
}

/** What to do about a missing cell. */
const ADVICE = "missing (--missing) says what becomes of it: error (the default), mean or category";

/**
 * Makes the records of a file into rows of numbers: a number as it is, a text as its code in the order of appearance.
 * All cells of a column say what it holds; a test file has the columns of the training file.
 */
export class TableReader {
  /** In the order of the training file, without the label. */
  readonly columns: readonly ReadColumn[];
  /** Of each label column. */
  readonly labels: readonly TableLabels[];

  constructor(
    readonly file: string,
    readonly header: TableHeader,
    private readonly indices: ColumnIndices,
    readonly missing: TableOptions["missing"] = "error",
    private readonly training?: TableReader,
    unlabelled = false,
  ) {
    const own = () => indices.columns.map((index) => new ReadColumn(header.names[index], file));
    this.columns = training?.columns ?? own();
    const { names, labels, labelBy } = training?.header ?? header;
    this.labels = labels.map((index) => new TableLabels(file, names[index], labelBy, unlabelled));
  }

  /** Reads a record for the first time, into a row that is right unless {@link finish} says otherwise. */
  see(cells: readonly string[], line: number, out: RowData, at: number): void {
    expectWidth(cells, this.indices, line, this.file);
    for (let i = 0; i < this.labels.length; i++) this.labels[i].add(cells[this.indices.labels[i]], line);
    if (this.training === undefined) this.#seeRow(cells, line, out, at);
    else this.readRow(cells, line, out, at);
  }

  #seeRow(cells: readonly string[], line: number, out: RowData, at: number): void {
    const { columns } = this.indices;
    // A loop by index is faster, and a table of images has a column per pixel.
    for (let i = 0; i < columns.length; i++) {
      const cell = cells[columns[i]];
      if (isMissing(cell)) {
        this.columns[i].missing++;
        out[at + i] = this.#missing(this.columns[i], cell, line);
      } else out[at + i] = this.columns[i].see(cell, line);
    }
  }

  /** Decides what the columns hold, after all records were seen; true: the rows have to be read again. */
  finish(first: { cells: readonly string[]; line: number }): boolean {
    if (this.training !== undefined) return false;
    const canBeRow = () => first.cells.some(isNumberLike) || this.columns.every(({ codes, name }) => codes?.has(name));
    this.labels[0].expectHeader(this.header, first.cells, first.line, canBeRow);
    const decimals = this.columns.flatMap(({ decimal }) => decimal ?? []);
    const marks = new Set(decimals);
    for (const column of this.columns) column.finish(marks);
    return this.columns.some(({ isOther }) => isOther);
  }

  /** Sees the texts of columns that had been taken for numbers first. */
  recode(cells: readonly string[], line: number): void {
    for (const [i, index] of this.indices.columns.entries()) {
      if (!isMissing(cells[index])) this.columns[i].recode(cells[index], line);
    }
  }

  /** A record in its row of numbers; `BAD_DATA` with file, line and column for a cell that does not fit. */
  readRow(cells: readonly string[], line: number, out: RowData, at: number): void {
    expectWidth(cells, this.indices, line, this.file);
    const { columns } = this.indices;
    for (let i = 0; i < columns.length; i++) {
      const cell = cells[columns[i]];
      const column = this.columns[i];
      const value = isMissing(cell) ? this.#missing(column, cell, line) : column.value(cell);
      if (typeof value === "string") throw this.#refuse(column, line, value);
      out[at + i] = value;
    }
  }

  /** NaN for a cell that may be missing. */
  #missing(column: ReadColumn, cell: string, line: number): number {
    const what = cell === "" ? "is empty" : `is missing: ${show(cell)}`;
    if (this.missing === "error") {
      throw this.#refuse(column, line, `${what}: ${ADVICE}`);
    }
    const needsSeen = this.missing === "category" || column.codes !== null;
    if (this.training !== undefined && needsSeen && column.missing === 0) {
      throw this.#refuse(column, line, `${what}, and no cell of the column in the training file is`);
    }
    return Number.NaN;
  }

  #refuse({ name }: ReadColumn, line: number, problem: string): Error {
    return badData(this.file, `line ${line}, ${show(name)}: ${problem}`);
  }
}
