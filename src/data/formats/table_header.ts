import { show, showList } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { badData } from "../../files/index.js";
import type { TableLayout } from "../dataset.js";
import { parseNumber } from "../preprocessing/encode.js";
import { firstRepeated } from "../preprocessing/spec.js";

/** How a table's columns are told apart. */
export interface TableOptions {
  /** The column of the classes: its name, or its place from 0, counted from the end below 0. */
  readonly labelColumn?: string | number;
  /** Whether the first line names the columns; default: whether it has no number. */
  readonly header?: boolean;
}

/** The columns of a file: their names, which are their places where no line names them. */
export interface TableHeader {
  readonly names: readonly string[];
  readonly isNamed: boolean;
  /** The place of the label. */
  readonly label: number;
}

/** Where the columns that are wanted stand in the rows of a file. */
export interface TablePlaces {
  readonly columns: readonly number[];
  /** -1: the file has no labels. */
  readonly label: number;
  /** The cells of a row. */
  readonly width: number;
}

/** What the column of the classes is usually called. */
const LABELS = ["label", "class", "target", "y"];

/** Whether a first record names columns: none of its cells is a number, or one is what labels are called. */
export function namesColumns(cells: readonly string[]): boolean {
  return cells.every((cell) => parseNumber(cell) === null) || cells.some(isLabel);
}

/** The header of a file whose first record is this one; `BAD_DATA` where names repeat, `BAD_ARGUMENT` for no column. */
export function readTableHeader(
  cells: readonly string[],
  line: number,
  file: string,
  { labelColumn, header = namesColumns(cells) }: TableOptions,
): TableHeader {
  const names = header ? expectNames(cells, line, file) : cells.map((_, place) => String(place));
  if (names.length < 2) throw badData(file, `line ${line}: expected two columns at least, got ${names.length}`);
  const label =
    labelColumn === undefined ? usualLabel(names, header, line, file) : chosenLabel(names, labelColumn, file);
  return { names, isNamed: header, label };
}

/** The columns of the values and of the label in the file that has this header. */
export function placesOf({ names, label }: TableHeader): TablePlaces {
  const columns = names.map((_, place) => place).filter((place) => place !== label);
  return { columns, label, width: names.length };
}

/**
 * Where columns stand in another file, whose first record this is: by name, in any order and among others; where they
 * have no names, in their order, with or without the label. `BAD_DATA` for one that is missing.
 */
export function findPlaces(
  { columns, label, header }: Pick<TableLayout, "label" | "header"> & { columns: readonly { name: string }[] },
  cells: readonly string[],
  line: number,
  file: string,
): TablePlaces {
  const width = cells.length;
  if (!header) {
    if (width === columns.length) return { columns: columns.map((_, place) => place), label: -1, width };
    if (width === columns.length + 1) return placesOf({ names: cells, label: label.index, isNamed: false });
    const text = `expected ${columns.length + 1} cells, or ${columns.length} without the label, got ${width}`;
    throw badData(file, `line ${line}: ${text}`);
  }
  const names = expectNames(cells, line, file);
  const places = columns.map(({ name }) => names.indexOf(name));
  const missing = columns[places.indexOf(-1)];
  if (missing === undefined) return { columns: places, label: names.indexOf(label.name), width };
  throw badData(file, `line ${line}: no column is called ${show(missing.name)}, as one of the training file`);
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
  return found.length === 1 ? names.indexOf(found[0] as string) : names.length - 1;
}

function isLabel(name: string): boolean {
  return LABELS.includes(name.toLowerCase());
}

function chosenLabel(names: readonly string[], column: string | number, file: string): number {
  const named = names.indexOf(String(column));
  if (typeof column === "string" && named >= 0) return named;
  const place = typeof column === "string" && !/^-?\d+$/.test(column) ? Number.NaN : Number(column);
  const fromStart = place < 0 ? names.length + place : place;
  if (Number.isInteger(place) && fromStart >= 0 && fromStart < names.length) return fromStart;
  const text = `expected a column of ${file}, ${showList(names, 8)}, or its place from 0, got ${show(column)}`;
  throw new DistilleryError("BAD_ARGUMENT", `labelColumn: ${text}`);
}
