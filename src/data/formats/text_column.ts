import { badArgument, show, showList } from "../../checks.js";
import { badData } from "../../files/index.js";
import type { TableLayout, TextColumn } from "../dataset.js";
import type { LoadDataOptions, TableOptions } from "../load_options.js";
import { isNumberLike } from "../preprocessing/number_format.js";
import { MAX_CATEGORIES } from "../preprocessing/spec.js";
import type { RawPart } from "../raw_data.js";
import { MemoryRows, newRows, type RowData, type RowSource, withRoom } from "../row_source.js";
import {
  type ColumnIndices,
  expectNoList,
  expectWidth,
  findColumns,
  indexOf,
  isLabel,
  layoutOf,
  namesColumns,
  readTableHeader,
  type TableHeader,
} from "../table_header.js";
import { TableLabels } from "../table_labels.js";
import { encodeText, knowsAny, textEncoding } from "../text/encodings.js";
import type { CellRecords } from "./format.js";
import { scanRows, sourceRowIn } from "./table_rows.js";

/** The usual name of a column of texts to read. */
const USUAL = "text";

/** Which column of a table holds texts to read, and the label beside it: their header, with all else left out. */
export interface TextHeader extends TableHeader {
  /** The index of the texts. */
  readonly text: number;
}

/**
 * The header of a table of texts: of one with `textColumn`, or that shows by itself that it is one; null for another
 * table.
 */
export function textHeader(
  records: CellRecords,
  options: TableOptions & Pick<LoadDataOptions, "onNote">,
): TextHeader | null {
  const { textColumn, header: isGiven } = options;
  const file = records.file.path;
  const [record] = records.first();
  if (record === undefined) return null;
  const { value: cells, line } = record;
  const found = textColumn === undefined ? looksLikeTexts(records, options) : -1;
  if (textColumn === undefined && found < 0) return null;
  const plain = readTableHeader(cells, line, file, options);
  const text = textColumn === undefined ? found : indexOf(plain.names, "textColumn", textColumn, file);
  if (plain.dropped.has(text)) {
    throw badArgument(
      "textColumn",
      `a column that dropColumns does not leave out, as ${show(plain.names[text])}`,
      textColumn,
    );
  }
  const others = plain.names.map((_, i) => i).filter((i) => i !== text);
  const isByPlace = plain.labelBy === "place";
  if (plain.labels.includes(text) && !(isByPlace && others.length === 1)) {
    const advice = isByPlace ? "name the label (--label-column)" : "name another one";
    const what = isByPlace ? "is the last column, where the label is by default" : "is the label";
    const expected = `a column beside the label: ${show(plain.names[text])} ${what}: ${advice}`;
    throw badArgument("textColumn", expected, textColumn);
  }
  const labels = plain.labels.includes(text) ? others : plain.labels;
  // With one other column there is nothing else that the label could be.
  const labelBy = isByPlace && others.length === 1 ? "name" : plain.labelBy;
  const rest = others.filter((i) => !labels.includes(i));
  if (textColumn === undefined) {
    const left = rest.length === 0 ? "" : `; left out: ${showList(rest.map((i) => plain.names[i]))}`;
    options.onNote?.(`${file}: ${show(plain.names[text])} is read as text${left}`);
  }
  const dropped = new Set(rest);
  return { ...plain, isGiven: isGiven !== undefined, label: labels[0], labels, labelBy, dropped, text };
}

/** The rows, at least, that show whether a column without a usual name holds texts to read. */
const LOOKED_AT = 1000;

/**
 * The index of a column that is called text, or of the only one beside the label if it holds more different texts than
 * can be categories, mostly of several words; -1: none.
 */
function looksLikeTexts(
  records: CellRecords,
  { header, labelColumn, labelColumns, dropColumns = [] }: TableOptions,
): number {
  const file = records.file.path;
  const [{ value: names, line }] = records.first();
  if (!(header ?? namesColumns(names, line, file))) return -1;
  const indices = (option: string, columns: readonly (string | number)[]) =>
    columns.map((column) => indexOf(names, option, column, file));
  const given = [
    ...indices("labelColumn", labelColumn === undefined ? [] : [labelColumn]),
    ...indices("labelColumns", labelColumns ?? []),
  ];
  const labels = given.length > 0 ? given : names.flatMap((name, i) => (isLabel(name) ? [i] : []));
  const taken = new Set([...labels, ...indices("dropColumns", dropColumns)]);
  const others = names.map((_, i) => i).filter((i) => !taken.has(i));
  const usual = others.find((i) => names[i].toLowerCase() === USUAL);
  if (usual !== undefined) return usual;
  if (labels.length === 0 || others.length !== 1) return -1;
  const [only] = others;
  const [, ...rows] = records.first(LOOKED_AT);
  const cells = rows.flatMap(({ value }) => value[only] ?? []);
  const isMostly = (of: readonly string[]) => of.length * 2 > cells.length;
  const different = [...new Set(cells)];
  // Ids and names are mostly of one word.
  return different.length > MAX_CATEGORIES && isMostly(different) && isMostly(cells.filter(isSeveralWords)) ? only : -1;
}

function isSeveralWords(cell: string): boolean {
  return /\S\s+\S/.test(cell) && /\p{L}/u.test(cell) && !isNumberLike(cell);
}

/** Reads the labels of a table of texts, and what its texts become. */
export class TextReader {
  readonly labels: readonly TableLabels[];
  readonly column: TextColumn;
  /** The ids of all rows one after the other, and the end of each: a text has few of the most that it may have. */
  #ids = new Float32Array(2 ** 16);
  #knows = false;
  readonly #ends: number[] = [];
  readonly #texts: string[] = [];

  constructor(
    readonly file: string,
    readonly header: TextHeader,
    private readonly indices: ColumnIndices,
    { textEncoding: encoding, unlabelled }: Pick<TableOptions, "textEncoding" | "unlabelled">,
  ) {
    const { names, labels, labelBy, text } = header;
    this.labels = labels.map((index) => new TableLabels(file, names[index], labelBy, unlabelled));
    this.column = { name: names[text], text: textEncoding(encoding) };
  }

  /**
   * The reader of another file with the same columns, in any order. Its rows are held out, so they need their labels.
   */
  other(file: string, cells: readonly string[], line: number, options: TableOptions): TextReader {
    const { layout, header } = this;
    const indices = findColumns(layout, cells, line, file);
    const known = { ...header, isGiven: true };
    if (indices.label >= 0) return new TextReader(file, known, indices, { ...options, unlabelled: false });
    throw badData(file, `line ${line}: the label, ${show(layout.label.name)}, is missing`);
  }

  get layout(): TableLayout {
    return { columns: [this.column], ...layoutOf(this.header) };
  }

  /** Takes note of a record; its ids too if they are kept. */
  see(cells: readonly string[], line: number, isKept: boolean): void {
    expectWidth(cells, this.indices, line, this.file);
    for (let i = 0; i < this.labels.length; i++) this.labels[i].add(cells[this.indices.labels[i]], line);
    expectNoList(cells[this.textIndex], this.column.name, line, this.file);
    if (!isKept) return;
    const { length } = this.column.text;
    const start = this.#ends.at(-1) ?? 0;
    this.#ids = withRoom(this.#ids, start + length);
    const out = this.#ids.subarray(start, start + length);
    const text = cells[this.textIndex];
    this.#texts.push(text);
    const count = encodeText(this.column.text, text, out);
    this.#knows ||= count > 0 && knowsAny(this.column.text, out.subarray(0, count));
    this.#ends.push(start + count);
  }

  /** The ids of a record in its row. */
  readRow(cells: readonly string[], line: number, out: RowData, at: number): void {
    expectWidth(cells, this.indices, line, this.file);
    const { length } = this.column.text;
    const row = (out as Float32Array).subarray(at, at + length).fill(0);
    encodeText(this.column.text, cells[this.textIndex], row);
  }

  /** Whether the encoding knows something in the texts that {@link see} kept. */
  get knows(): boolean {
    return this.#knows;
  }

  /** The texts of these rows, of those that {@link see} kept. */
  texts(rows: Int32Array): string[] {
    return Array.from(rows, (row) => this.#texts[row]);
  }

  /** The rows that {@link see} kept: [rows, length]. */
  rows(): RowSource {
    const { length } = this.column.text;
    const data = new Float32Array(this.#ends.length * length);
    for (const [row, end] of this.#ends.entries()) {
      data.set(this.#ids.subarray(row === 0 ? 0 : this.#ends[row - 1], end), row * length);
    }
    this.#ids = new Float32Array(0);
    return new MemoryRows(data, [length]);
  }

  /** The index of the texts in this file. */
  get textIndex(): number {
    return this.indices.columns[0];
  }
}

/** Rows that are at most so far from each other are read together. */
const NEAR = 1000;

/** Texts that stay in their file, encoded when they are read. */
class TextsOnDisk implements RowSource {
  readonly dtype = "float32";
  readonly shape: readonly number[];

  constructor(
    private readonly records: CellRecords,
    private readonly reader: TextReader,
    readonly length: number,
  ) {
    this.shape = [reader.column.text.length];
  }

  read(start: number, end: number, into: RowData = newRows(this, end - start)): RowData {
    const first = this.reader.header.isNamed ? 1 : 0;
    this.records.read(start + first, end + first, (cells, line, number) => {
      this.reader.readRow(cells, line, into, (number - first - start) * this.shape[0]);
    });
    return into;
  }

  texts(rows: Int32Array): string[] {
    const first = this.reader.header.isNamed ? 1 : 0;
    const wanted = new Map(Array.from(rows, (row): [number, string] => [row, ""]));
    const sorted = [...wanted.keys()].sort((a, b) => a - b);
    for (let start = 0; start < sorted.length; ) {
      let end = start + 1;
      while (end < sorted.length && sorted[end] - sorted[end - 1] <= NEAR) end++;
      this.records.read(sorted[start] + first, sorted[end - 1] + first + 1, (cells, _, number) => {
        if (wanted.has(number - first)) wanted.set(number - first, cells[this.reader.textIndex]);
      });
      start = end;
    }
    return Array.from(rows, (row) => wanted.get(row) as string);
  }
}

/** What {@link readTexts} reads. */
interface ReadTexts extends Required<Pick<RawPart, "rows" | "layout" | "sourceRow" | "texts">> {
  readonly reader: TextReader;
}

/** Reads a table of texts; with `stream` they stay in their file. */
export async function readTexts(
  file: string,
  records: CellRecords,
  { stream, onNote }: { stream: boolean } & Pick<LoadDataOptions, "onNote">,
  open: (cells: readonly string[], line: number) => TextReader,
): Promise<ReadTexts> {
  const see = (to: TextReader, cells: readonly string[], line: number) => to.see(cells, line, !stream);
  const { reader, first, count } = await scanRows(file, records, open, see);
  reader.labels[0].expectHeader(reader.header, first.cells, first.line, () => true);
  if (!stream && !reader.knows) {
    const { name, text } = reader.column;
    onNote?.(`${file}: the encoding ${text.kind} knows no word of column ${show(name)}`);
  }
  const { header, layout, textIndex } = reader;
  const onDisk = new TextsOnDisk(records, reader, count);
  const rows = stream ? onDisk : reader.rows();
  const kept = stream ? onDisk : reader;
  const sourceRow = sourceRowIn(records, header.isNamed, textIndex);
  return { rows, reader, layout, sourceRow, texts: (wanted) => kept.texts(wanted) };
}
