import { show, showList } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { badData, MAX_FILE_BYTES } from "../../files/index.js";
import { turns } from "../../slices.js";
import { Tensor } from "../../tensor/tensor.js";
import { NO_LABEL } from "../dataset.js";
import type { ReadSourceRow, SourceRow } from "../origin.js";
import { encodeCell, isMissing } from "../preprocessing/encode.js";
import { parseNumber } from "../preprocessing/number_format.js";
import { type ClassSpec, columnWidth, type TablePreprocessing, textColumnOf, widthOf } from "../preprocessing/spec.js";
import { ON_DISK, type RawPart } from "../raw_data.js";
import { featuresOf, MemoryRows, newRows, type RowData, type RowSource, withRoom } from "../row_source.js";
import { type ColumnIndices, expectNoList, expectWidth, findColumns } from "../table_header.js";
import type { LabelReader } from "../table_labels.js";
import type { TableReader } from "../table_reader.js";
import { targetText, wrongTarget } from "../targets.js";
import type { TaskName } from "../task_name.js";
import type { CellRecords, FileSamples } from "./format.js";

/** The rows of a file, what read their labels, and what else is known of them. */
export interface ReadTable<R extends LabelReader = LabelReader>
  extends Pick<RawPart, "table" | "layout" | "sourceRow" | "texts"> {
  readonly rows: RowSource;
  readonly reader: R;
}

/** Reads a table: its rows, in memory or left in the file, by the reader that its first record opens. */
export async function readTable(
  file: string,
  records: CellRecords,
  { stream }: { readonly stream: boolean },
  open: (cells: readonly string[], line: number) => TableReader,
): Promise<ReadTable<TableReader>> {
  const { size } = records.file;
  if (!stream && size > MAX_FILE_BYTES) {
    const text = `${file}: ${size} bytes; at most ${MAX_FILE_BYTES} can be read: ${ON_DISK}`;
    throw new DistilleryError("IO_ERROR", text);
  }
  let cells: Float64Array = new Float64Array(0);
  const { reader, first, count } = await scanRows(file, records, open, (to, record, line, row) => {
    const width = to.columns.length;
    const at = stream ? 0 : row * width;
    cells = withRoom(cells, at + width);
    to.see(record, line, cells, at);
  });
  const isOther = reader.finish(first);
  const shape = [reader.columns.length];
  const rows = new TextRows(records, reader, count, shape);
  if (isOther) await rows.recode();
  const read = { reader, table: reader, sourceRow: sourceRowIn(records, reader.header.isNamed) };
  if (stream) return { rows, ...read };
  const memory = new MemoryRows(cells.subarray(0, count * shape[0]), shape);
  if (isOther) {
    // Until all cells of a column had been seen, some were taken for something else.
    const turn = Math.max(1, Math.floor(TURN / shape[0]));
    for await (const [start, end] of turns(count, turn)) rows.read(start, end, memory.read(start, end));
  }
  return { rows: memory, ...read };
}

interface Opened<R extends LabelReader> {
  readonly reader: R;
  readonly first: { readonly cells: readonly string[]; readonly line: number };
}

/** Shows the rows of a file to the reader that its first record opens, which has the columns' names or is a row. */
export async function scanRows<R extends LabelReader>(
  file: string,
  records: CellRecords,
  open: (cells: readonly string[], line: number) => R,
  see: (reader: R, cells: readonly string[], line: number, row: number) => void,
): Promise<Opened<R> & { count: number }> {
  let opened: Opened<R> | undefined;
  let count = 0;
  await records.scan((cells, line) => {
    if (opened === undefined) {
      opened = { reader: open(cells, line), first: { cells, line } };
      if (opened.reader.header.isNamed) return;
    }
    see(opened.reader, cells, line, count++);
  });
  if (opened === undefined || count === 0) throw badData(file, "truncated: it has no rows");
  return { ...opened, count };
}

/** Finds a row of a file again, and the cell of its text, behind the names of the columns. */
export function sourceRowIn(records: CellRecords, isNamed: boolean, text?: number): ReadSourceRow {
  const file = records.file.path;
  return (row) => {
    const number = row + (isNamed ? 1 : 0);
    let found: SourceRow | undefined;
    records.read(number, number + 1, (cells, line) => {
      found = { file, line, ...(text !== undefined && { text: cells[text] }) };
    });
    if (found === undefined) throw badData(file, `has no row ${row + 1}`);
    return found;
  };
}

/** Cells that are read before other work gets its turn. */
const TURN = 2 ** 20;

/** Rows that stay in their file: the blocks of text that hold a range are parsed when it is read. */
class TextRows implements RowSource {
  readonly dtype = "float64";

  constructor(
    private readonly records: CellRecords,
    private readonly reader: TableReader,
    readonly length: number,
    readonly shape: readonly number[],
  ) {}

  /** Completes the texts of columns that had been taken for numbers first. */
  async recode(): Promise<void> {
    const first = this.reader.header.isNamed ? 1 : 0;
    const turn = Math.max(1, Math.floor(TURN / featuresOf(this)));
    for await (const [start, end] of turns(this.length + first, turn, first)) {
      this.records.read(start, end, (cells, line) => this.reader.recode(cells, line));
    }
    for (const column of this.reader.columns) column.expectFew();
  }

  read(start: number, end: number, into: RowData = newRows(this, end - start)): RowData {
    const [first, width] = [this.reader.header.isNamed ? 1 : 0, featuresOf(this)];
    this.records.read(start + first, end + first, (cells, line, number) => {
      this.reader.readRow(cells, line, into, (number - first - start) * width);
    });
    return into;
  }
}

/**
 * The rows of a table as a network's inputs, encoded as it was trained. `isLabelled` refuses a label that is no class
 * of the network, and, unless it `mayLack`, one that is missing.
 */
export async function readSampleRows(
  file: string,
  records: CellRecords,
  spec: TablePreprocessing,
  { isLabelled = false, mayLack = false } = {},
): Promise<FileSamples> {
  const { columns, header } = spec;
  const features = widthOf(columns);
  const [locations, labels, texts]: [string[], number[], string[]] = [[], [], []];
  let values: Float32Array = new Float32Array(0);
  const isOther = spec.task !== undefined;
  const isTexts = textColumnOf({ table: spec }) !== null;
  const targets: number[] = [];
  let labelled = 0;
  let indices: ColumnIndices | undefined;
  await records.scan((cells, line) => {
    if (indices === undefined) {
      indices = findColumns(spec, cells, line, file);
      if (header) return;
    }
    expectWidth(cells, indices, line, file);
    let at = locations.length * features;
    values = withRoom(values, at + features);
    for (const [i, column] of columns.entries()) {
      const problem = encodeCell(column, cells[indices.columns[i]], values, at);
      if (problem !== null) throw badData(file, `line ${line}, ${show(column.name)}: ${problem}`);
      at += columnWidth(column);
    }
    if (isTexts) {
      expectNoList(cells[indices.columns[0]], columns[0].name, line, file);
      texts.push(cells[indices.columns[0]]);
    }
    locations.push(`${file}, line ${line}`);
    if (indices.label < 0) return;
    if (isOther) {
      for (const [c, index] of indices.labels.entries()) {
        const x = parseNumber(cells[index]);
        const problem = isLabelled ? targetProblem(cells[index], x, c, spec) : null;
        if (problem !== null) throw badData(file, `line ${line}: ${problem}`);
        targets.push(x ?? Number.NaN);
      }
      labels.push(NO_LABEL);
      return;
    }
    const cell = cells[indices.label];
    const label = classOf(cell, spec);
    const isAbsent = label < 0 && isMissing(cell);
    if (!isAbsent) labelled++;
    if (label < 0 && isLabelled && !(isAbsent && mayLack)) {
      throw badData(file, `line ${line}: ${labelProblem(cell, isAbsent, spec)}`);
    }
    labels.push(label);
  });
  const count = locations.length;
  if (count === 0) throw badData(file, "truncated: it has no rows");
  const inputs = new Tensor(values.subarray(0, count * features), [count, features]);
  const given = labels.length === 0 ? null : Int32Array.from(labels);
  return {
    inputs,
    locations,
    labels: given,
    ...(isTexts && { texts }),
    ...(given && (isOther ? { targets: Float64Array.from(targets) } : { labelled })),
  };
}

/** What is wrong with the number of a target, by its place among them; null if nothing is. */
function targetProblem(cell: string, x: number | null, place: number, spec: TablePreprocessing): string | null {
  const task = spec.task as TaskName;
  if (x !== null && wrongTarget(Float64Array.of(x), task) < 0) return null;
  const { name } = (spec.labels ?? [spec.label])[place];
  return `expected ${targetText(task)} as target, ${show(name)}, got ${show(cell)}`;
}

/** What is wrong with a label that is missing, or no class of the network. */
function labelProblem(cell: string, isAbsent: boolean, { label, classNames }: TablePreprocessing): string {
  if (isAbsent) {
    const advice = "leave the row out, or take it without one (--unlabelled)";
    return `its label, ${show(label.name)}, is missing: ${advice}`;
  }
  return `the network does not know the class ${show(cell)}: it knows ${showList(classNames ?? [], 8)}`;
}

function classOf(text: string, { classNames }: ClassSpec): number {
  const number = parseNumber(text);
  const byText = classNames?.indexOf(text) ?? -1;
  return byText >= 0 || number === null ? byText : (classNames?.indexOf(String(number)) ?? -1);
}
