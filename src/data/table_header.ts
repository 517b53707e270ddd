import { argumentError, show, showList, suggestion } from "../checks.js";
import type { DistilleryError } from "../errors.js";
import { badData } from "../files/index.js";
import type { TableLayout } from "./dataset.js";
import type { TableOptions } from "./load_options.js";
import { isNumberLike } from "./preprocessing/number_format.js";
import { firstRepeated } from "./preprocessing/spec.js";

/** The columns of a file: their names, which are their indices if no line names them. */
export interface TableHeader {
  readonly names: readonly string[];
  readonly isNamed: boolean;
  /** Whether an option said whether a line names them. */
  readonly isGiven: boolean;
  /** The index of the label, or of the first of several. */
  readonly label: number;
  /** The indices of all labels. */
  readonly labels: readonly number[];
  /** How the label was found: by an option, by its usual name, or as the last column. */
  readonly labelBy: "option" | "name" | "place";
  /** The indices of the columns that are left out. */
  readonly dropped: ReadonlySet<number>;
}

/** Where the columns that are wanted are in the records of a file. */
export interface ColumnIndices {
  readonly columns: readonly number[];
  /** -1: the file has no labels. */
  readonly label: number;
  /** The indices of all labels; none if one is missing. */
  readonly labels: readonly number[];
  /** The cells of a record. */
  readonly width: number;
}

/** The usual names of the column of the classes. */
const LABELS = ["label", "class", "target", "y"];

/** The error of a first record that could name the columns or be a row. */
export function ambiguousHeader(cells: readonly string[], line: number, file: string, reason = ""): DistilleryError {
  const text = `${showList(cells, 8)} could name the columns or be a row${reason}: set header`;
  return badData(file, `line ${line}: ${text} (--header, --no-header)`);
}

/** Whether a first record names columns: none of its cells is a number, or one is a usual name of labels. */
export function namesColumns(cells: readonly string[], line: number, file: string): boolean {
  const numbers = cells.filter(isNumberLike);
  if (numbers.length === 0 || cells.some(isLabel)) return true;
  // pandas writes 0, 1, 2, ... as the names of unnamed columns.
  const areIndices = numbers.length > 1 && numbers.every((x, i) => cells[i] === x && x === String(i));
  if (areIndices && (numbers.length < cells.length || numbers.length > 2)) throw ambiguousHeader(cells, line, file);
  return false;
}

/** The names of unnamed columns: their indices. */
export function places(cells: readonly string[]): string[] {
  return cells.map((_, index) => String(index));
}

/**
 * The header of a file with this first record; `BAD_DATA` if names repeat, `BAD_ARGUMENT` if there is no such column.
 */
export function readTableHeader(
  cells: readonly string[],
  line: number,
  file: string,
  { labelColumn, labelColumns, header, dropColumns = [] }: TableOptions,
): TableHeader {
  const isNamed = header ?? namesColumns(cells, line, file);
  const known = isNamed ? cells : places(cells);
  const dropped = new Set(dropColumns.map((column) => indexOf(known, "dropColumns", column, file)));
  const names = isNamed ? expectNames(known, line, file, dropped) : known;
  if (names.length < 2) throw badData(file, `line ${line}: expected at least two columns, got ${names.length}`);
  const named = isNamed ? names.flatMap((name, index) => (isLabel(name) ? [index] : [])) : [];
  const kept = named.filter((index) => !dropped.has(index));
  const usual = kept.length > 0 ? kept : named;
  if (labelColumn !== undefined && labelColumns !== undefined) {
    throw argumentError("labelColumns", "one label column is given too: leave one of the two out");
  }
  const several = labelColumns?.map((column) => indexOf(names, "labelColumns", column, file));
  if (several?.length === 0 || new Set(several).size < (several?.length ?? 0)) {
    throw argumentError(
      "labelColumns",
      `expected columns, each once, got ${showList(labelColumns?.map(String) ?? [])}`,
    );
  }
  if (labelColumn === undefined && several === undefined && usual.length > 1) {
    const labels = showList(usual.map((index) => names[index]));
    throw badData(file, `line ${line}: ${labels} could each be the label: set labelColumn (--label-column)`);
  }
  const isByName = labelColumn === undefined && usual.length === 1;
  const place = isByName ? usual[0] : names.length - 1;
  const labels = several ?? [labelColumn === undefined ? place : indexOf(names, "labelColumn", labelColumn, file)];
  const twice = labels.find((label) => dropped.has(label));
  if (twice !== undefined) {
    throw argumentError("dropColumns", `${show(names[twice])} is the label of ${file}`);
  }
  if (dropped.size >= names.length - labels.length) throw argumentError("dropColumns", "no column is left");
  const labelBy = labelColumn !== undefined || several !== undefined ? "option" : isByName ? "name" : "place";
  return { names, isNamed, isGiven: header !== undefined, label: labels[0], labels, labelBy, dropped };
}

/** The indices of the values and of the label in the file that has this header. */
export function indicesOf({
  names,
  label,
  labels,
  dropped,
}: Pick<TableHeader, "names" | "label" | "labels" | "dropped">): ColumnIndices {
  const columns = names.map((_, index) => index).filter((index) => !labels.includes(index) && !dropped.has(index));
  return { columns, label, labels, width: names.length };
}

/** What another file of the same columns has to say of its labels and its header. */
export function layoutOf(header: TableHeader): Omit<TableLayout, "columns"> {
  const { names, isNamed } = header;
  const [label, ...more] = header.labels.map((index) => ({ name: names[index], index }));
  return {
    label,
    ...(more.length > 0 && { labels: [label, ...more] }),
    header: isNamed,
    ...(header.dropped.size > 0 && { width: names.length }),
  };
}

/**
 * The indices of columns in another file with this first record: by name, in any order and among others; without names,
 * in their order, with or without the label. `BAD_DATA` for one that is missing.
 */
export function findColumns(
  {
    columns,
    label,
    labels = [label],
    header,
    width: whole,
  }: Omit<TableLayout, "columns"> & { columns: readonly { name: string }[] },
  cells: readonly string[],
  line: number,
  file: string,
): ColumnIndices {
  const width = cells.length;
  if (!header) {
    const own = columns.map(({ name }) => Number(name));
    const at = labels.map(({ index }) => index);
    const most = whole ?? Math.max(...at, ...own.slice(-1)) + 1;
    const hasDropped = whole === undefined && most > columns.length + labels.length;
    if (width === columns.length) return { columns: columns.map((_, index) => index), label: -1, labels: [], width };
    if (hasDropped ? width >= most : width === most) return { columns: own, label: label.index, labels: at, width };
    // If labels come after all columns, a file may lack them.
    const isOwn = width === most - labels.length && own.every((index) => index < Math.min(...at));
    if (isOwn) return { columns: own, label: -1, labels: [], width };
    const text = `expected ${hasDropped ? "at least " : ""}${most} cells, or ${columns.length} without the label, got ${width}`;
    throw badData(file, `line ${line}: ${text}`);
  }
  const places = new Map(cells.map((name, index) => [name, index]));
  const repeated = new Set(cells.filter((name, index) => places.get(name) !== index));
  const twice = [...columns, ...labels].find(({ name }) => repeated.has(name));
  if (twice !== undefined) throw badData(file, `line ${line}: two columns are called ${show(twice.name)}`);
  const missing = columns.find(({ name }) => !places.has(name));
  if (missing === undefined) {
    const indices = columns.map(({ name }) => places.get(name) as number);
    const own = labels.map(({ name }) => places.get(name) ?? -1);
    return own.includes(-1)
      ? { columns: indices, label: -1, labels: [], width }
      : { columns: indices, label: own[0], labels: own, width };
  }
  throw badData(file, `line ${line}: no column is called ${show(missing.name)}, as one of the training file`);
}

/** `BAD_DATA` for a list of JSON in place of a cell. It begins with a space, which all other cells have lost. */
export function expectNoList(cell: string, name: string, line: number, file: string): void {
  if (!cell.startsWith(" ")) return;
  const advice = "teacherColumn (--teacher-column) takes logits, dropColumns (--drop-columns) leaves it out";
  throw badData(file, `line ${line}, ${show(name)}: expected a number or a text, got ${cell.trim()}: ${advice}`);
}

/** `BAD_DATA` for a record that is longer or shorter than the first. */
export function expectWidth(cells: readonly string[], { width }: ColumnIndices, line: number, file: string): void {
  if (cells.length === width) return;
  const advice = cells.length > width ? ": one that contains the separator stands in quotes" : "";
  const text = `expected ${width} ${width === 1 ? "cell" : "cells"}, got ${cells.length}`;
  throw badData(file, `line ${line}: ${text}${advice}`);
}

function expectNames(
  cells: readonly string[],
  line: number,
  file: string,
  dropped: ReadonlySet<number>,
): readonly string[] {
  const empty = cells.findIndex((cell, index) => cell === "" && !dropped.has(index));
  if (empty >= 0) {
    const advice = `name it, or leave it out: dropColumns (--drop-columns ${empty}), or to_csv(index=False) in pandas`;
    throw badData(file, `line ${line}: column ${empty} has no name: ${advice}`);
  }
  const twice = firstRepeated(cells.filter((_, index) => !dropped.has(index)));
  if (twice !== undefined) throw badData(file, `line ${line}: two columns are called ${show(twice)}`);
  return cells;
}

/** Whether a column has a usual name of labels. */
export function isLabel(name: string): boolean {
  return LABELS.includes(name.toLowerCase());
}

/** Whether an option names a column by its index. */
export function isIndex(column: string | number): boolean {
  return typeof column === "number" || /^-?\d+$/.test(column);
}

/** The index of a column that an option names. */
export function indexOf(names: readonly string[], option: string, column: string | number, file: string): number {
  const named = names.indexOf(String(column));
  if (typeof column === "string" && named >= 0) return named;
  const index = isIndex(column) ? Number(column) : Number.NaN;
  const fromStart = index < 0 ? names.length + index : index;
  if (Number.isInteger(index) && fromStart >= 0 && fromStart < names.length) return fromStart;
  // A name of one or two letters, or an index, is close to any other.
  const nearest = String(column).length > 2 ? suggestion(String(column), names) : "";
  const text = `expected a column of ${file}, ${showList(names, 8)}, or its index from 0, got ${show(column)}${nearest}`;
  throw argumentError(option, text);
}
