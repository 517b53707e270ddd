import { show, showList } from "../../checks.js";
import { badData } from "../../files/index.js";
import { native } from "../../native.js";
import { Tensor } from "../../tensor/tensor.js";
import type { TableLayout } from "../dataset.js";
import { columnWidth, widthOf } from "../preprocessing/spec.js";
import { TableDataset } from "../tensor_dataset.js";
import { readCsv } from "./csv.js";
import type { ReadSets } from "./read_sets.js";
import { ColumnReader } from "./table_columns.js";
import {
  findPlaces,
  placesOf,
  readTableHeader,
  type TableHeader,
  type TableOptions,
  type TablePlaces,
} from "./table_header.js";
import { LabelReader } from "./table_labels.js";

/**
 * The rows of CSV files: numbers, standardised by the training rows' mean and standard deviation of their column, and
 * texts of few values, one-hot; one column is the label. `BAD_DATA` with file and line for rows of another length, cells
 * that are empty or no number, and texts and labels that only the test file has.
 */
export async function readTable(
  file: string,
  testFile: string | null,
  name: string,
  options: TableOptions,
): Promise<ReadSets> {
  const train = await readTraining(file, options);
  const test = testFile === null ? null : await readTest(testFile, train);
  const classNames = train.labels.classNames();
  if (classNames.length < 2) throw badData(file, `expected two classes at least, got ${showList(classNames)} alone`);
  const labels = train.labels.classes(classNames);
  const testLabels = test?.labels.classes(classNames);
  const build = (rows: Int32Array) => {
    const table = layoutOf(train, rows);
    const part = (read: Table, classes: Int32Array) =>
      new TableDataset(valuesOf(read, table), classes, { name, classNames, table });
    return { train: part(train, labels), test: test && part(test, testLabels as Int32Array) };
  };
  return { source: file, labels, classes: classNames.length, hasTest: test !== null, build };
}

/** The rows of a file, before anything is measured. */
interface Table {
  readonly file: string;
  readonly header: TableHeader;
  readonly places: TablePlaces;
  /** In the order of the training file. */
  readonly columns: ColumnReader[];
  readonly labels: LabelReader;
}

async function readTraining(file: string, options: TableOptions): Promise<Table> {
  const open = (cells: readonly string[], line: number) => {
    const header = readTableHeader(cells, line, file, options);
    return { header, places: placesOf(header) };
  };
  const start = ({ names }: TableHeader, places: TablePlaces, cells: readonly string[]) =>
    places.columns.map((place) => new ColumnReader(names[place] as string, file, cells[place] as string));
  return readRows(file, open, start);
}

/** A test file has the columns of the training file, in any order where they are named, and the label. */
async function readTest(file: string, train: Table): Promise<Table> {
  const { header } = train;
  const label = { name: header.names[header.label] as string, index: header.label };
  const open = (cells: readonly string[], line: number) => {
    const places = findPlaces({ columns: train.columns, label, header: header.isNamed }, cells, line, file);
    if (places.label >= 0) return { header, places };
    const advice = `move the file away, and a share of the rows of ${train.file} is set aside for testing`;
    throw badData(file, `line ${line}: the label, ${show(label.name)}, is missing: add it; or ${advice}`);
  };
  return readRows(file, open, () => train.columns.map((column) => new ColumnReader(column.name, file, column)));
}

async function readRows(
  file: string,
  open: (cells: readonly string[], line: number) => { header: TableHeader; places: TablePlaces },
  start: (header: TableHeader, places: TablePlaces, cells: readonly string[]) => ColumnReader[],
): Promise<Table> {
  let table: Table | undefined;
  await readCsv(file, (cells, line) => {
    if (table === undefined) {
      const { header, places } = open(cells, line);
      const labels = new LabelReader(header.names[header.label] as string, file);
      table = { file, header, places, columns: [], labels };
      if (header.isNamed) return;
    }
    expectWidth(cells, table.places, line, file);
    if (table.columns.length === 0) table.columns.push(...start(table.header, table.places, cells));
    const { columns, places } = table;
    // By index: a table of images has a column a pixel.
    for (let i = 0; i < columns.length; i++) columns[i]?.take(cells[places.columns[i] as number] as string, line);
    table.labels.take(cells[places.label] as string, line);
  });
  if (table === undefined || table.columns.length === 0) throw badData(file, "truncated: it has no rows");
  return table;
}

/** `BAD_DATA` for a row that is longer or shorter than the first. */
export function expectWidth(cells: readonly string[], { width }: TablePlaces, line: number, file: string): void {
  if (cells.length !== width) throw badData(file, `line ${line}: expected ${width} cells, got ${cells.length}`);
}

/** The columns, their numbers measured over these rows. */
function layoutOf({ columns, header }: Table, rows: Int32Array): TableLayout {
  const { names, label, isNamed } = header;
  return {
    columns: columns.map((column) => column.describe(rows)),
    label: { name: names[label] as string, index: label },
    header: isNamed,
  };
}

function valuesOf({ file, columns, labels }: Table, { columns: layouts }: TableLayout): Tensor {
  const [rows, width] = [labels.codes.length, widthOf(layouts)];
  const values = new Float32Array(rows * width);
  let at = 0;
  for (const [i, layout] of layouts.entries()) {
    columns[i]?.encode(layout, values, at, width);
    at += columnWidth(layout);
  }
  const wrong = native.firstNonFinite(values);
  if (wrong < 0) return new Tensor(values, [rows, width]);
  throw badData(file, `row ${Math.floor(wrong / width) + 1}: a number is too far from its column's mean`);
}
