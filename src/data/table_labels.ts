import { argumentError, show, showList } from "../checks.js";
import { badData } from "../files/index.js";
import { NO_LABEL } from "./dataset.js";
import { looksLikeRegression, MANY, regressionText } from "./labels.js";
import type { TableOptions } from "./load_options.js";
import { isMissing } from "./preprocessing/encode.js";
import { isNumberLike, parseNumber } from "./preprocessing/number_format.js";
import { ambiguousHeader, expectNoList, type TableHeader } from "./table_header.js";
import { targetText, wrongTarget } from "./targets.js";
import type { TaskName } from "./task_name.js";

/** The label column of a table, as it is read. */
export class TableLabels {
  /** The code of each label read so far. */
  readonly #codes: number[] = [];
  /** The code of each label's text, and the line that has it first. */
  readonly #texts = new Map<string, { code: number; line: number }>();
  readonly #lines: number[] = [];

  constructor(
    private readonly file: string,
    /** The name of the column. */
    readonly name: string,
    private readonly labelBy: TableHeader["labelBy"],
    private readonly unlabelled = false,
  ) {}

  add(text: string, line: number): void {
    const isNone = text === "" || isMissing(text);
    this.#lines.push(line);
    if (isNone && this.unlabelled) {
      this.#codes.push(NO_LABEL);
      return;
    }
    if (isNone) {
      const what = text === "" ? "empty" : `missing: ${show(text)}`;
      // Whether they are classes is known once all are read.
      const advice = "leave the row out, or, if it is a class, take the row without one (--unlabelled)";
      throw badData(this.file, `line ${line}: its label, ${show(this.name)}, is ${what}: ${advice}`);
    }
    const known = this.#texts.get(text);
    if (known === undefined) {
      expectNoList(text, this.name, line, this.file);
      this.#texts.set(text, { code: this.#texts.size, line });
    }
    this.#codes.push(known?.code ?? this.#texts.size - 1);
  }

  /**
   * The names of the classes, sorted: by their number if all labels are whole numbers, otherwise as texts. `BAD_DATA`
   * if they are numbers as those of a regression, unless it is said that they are classes.
   */
  classNames(isSaid: boolean): string[] {
    const texts = [...this.#texts.keys()];
    const numbers = texts.map(parseNumber);
    // A code such as 007 is no number.
    if (texts.some((text) => /^0\d/.test(text))) return texts.sort();
    if (numbers.includes(null)) {
      if (!isSaid) this.#expectPlain(texts);
      this.#expectTexts(texts.filter((_, i) => numbers[i] === null));
      return texts.sort();
    }
    for (const [text, { line }] of this.#texts) {
      if (Number.isSafeInteger(parseNumber(text))) continue;
      const isMeant = isSaid || this.labelBy === "option";
      const advice = isMeant
        ? "a class is a whole number up to 2^53 - 1 or a text: put a letter in front, as in c1"
        : "name the column of the classes (--label-column), or --task regression takes it as a number";
      throw badData(
        this.file,
        `line ${line}: expected a class as label, ${show(this.name)}, got ${show(text)}: ${advice}`,
      );
    }
    const classes = [...new Set(numbers as number[])].sort((a, b) => a - b);
    if (!isSaid) this.#expectClasses(classes);
    return classes.map(String);
  }

  /** Whether all cells are 0 or 1. */
  get isBinary(): boolean {
    return [...this.#texts.keys()].every((text) => [0, 1].includes(parseNumber(text) ?? -1));
  }

  /**
   * The number of different numbers, if they are rather the targets of a regression, and their column was named;
   * otherwise null.
   */
  get isRegression(): number | null {
    const numbers = [...this.#texts.keys()].map((text) => (/^0\d/.test(text) ? null : parseNumber(text)));
    if (this.labelBy === "place" || !numbers.every((number) => number !== null)) return null;
    const different = [...new Set(numbers)].sort((a, b) => a - b);
    return looksLikeRegression(different, this.#labelled, true) ? different.length : null;
  }

  /** The numbers of the rows, and the line of each; `BAD_DATA` with the line of a cell that is none. */
  numbers(): { values: Float64Array; lineOf: (row: number) => number } {
    const numbers = [...this.#texts].map(([text, { line }]) => {
      const number = parseNumber(text);
      if (number !== null) return number;
      const advice = isNumberLike(text) ? ": write targets as 1234.5" : "";
      const problem = `expected a number as target, ${show(this.name)}, got ${show(text)}${advice}`;
      throw badData(this.file, `line ${line}: ${problem}`);
    });
    const missing = this.#codes.indexOf(NO_LABEL);
    if (missing >= 0) {
      const problem = `its target, ${show(this.name)}, is missing: leave the row out`;
      throw badData(this.file, `line ${this.#lines[missing]}: ${problem}`);
    }
    return { values: Float64Array.from(this.#codes, (code) => numbers[code]), lineOf: (row) => this.#lines[row] };
  }

  /** The classes of the rows; `BAD_DATA` with the line of a label that is no class. */
  classes(names: readonly string[]): Int32Array {
    const indices = new Map(names.map((name, index) => [name, index]));
    const classes = [...this.#texts].map(([text, { line }]) => {
      const number = parseNumber(text);
      const index = indices.get(text) ?? (number === null ? undefined : indices.get(String(number)));
      if (index !== undefined) return index;
      throw badData(this.file, `line ${line}: the label ${show(text)} is not in the training file`);
    });
    return Int32Array.from(this.#codes, (code) => (code === NO_LABEL ? NO_LABEL : classes[code]));
  }

  /**
   * Refuses a first record that was taken for the wrong thing, as the labels below show. `canBeRow`: whether the other
   * cells of a record that names the columns could be values.
   */
  expectHeader(
    { isGiven, isNamed, label }: TableHeader,
    cells: readonly string[],
    line: number,
    canBeRow: () => boolean,
  ): void {
    if (isGiven) return;
    const cell = cells[label];
    const what = `, whose label, ${show(cell)},`;
    if (!isNamed && parseNumber(cell) === null && this.#isFirstAlone) {
      throw ambiguousHeader(cells, line, this.file, `${what} no other row has`);
    }
    if (!isNamed || !this.#texts.has(cell) || !canBeRow()) return;
    throw ambiguousHeader(cells, line, this.file, `${what} rows below have too`);
  }

  /** Whether the first row alone has its label, and every other label has several rows: so it may be a name. */
  get #isFirstAlone(): boolean {
    const counts = new Array<number>(this.#texts.size).fill(0);
    for (const code of this.#codes) if (code !== NO_LABEL) counts[code]++;
    return counts.length > 2 && counts[0] === 1 && counts.every((count, code) => code === 0 || count > 1);
  }

  /** The rows that have a label. */
  get #labelled(): number {
    return this.#codes.reduce((sum, code) => sum + (code === NO_LABEL ? 0 : 1), 0);
  }

  /** Refuses many labels that are all numbers, some in a format that only columns may have, such as `1,5` or `12%`. */
  #expectPlain(texts: readonly string[]): void {
    if (texts.length <= MANY || !texts.every(isNumberLike)) return;
    const odd = texts.find((text) => parseNumber(text) === null);
    const what = `its label, ${show(this.name)}, has ${texts.length} different numbers, ${show(odd)} among them`;
    const advice = "write targets as 1234.5, or --task classification takes them as classes";
    throw badData(this.file, `${what}: ${advice}`);
  }

  /** Refuses many different numbers in the last column if nobody named it: they are probably no labels. */
  #expectClasses(classes: readonly number[]): void {
    const rows = this.#labelled;
    if (this.labelBy !== "place" || !looksLikeRegression(classes, rows, false)) return;
    const what = `its label, ${show(this.name)}, has ${regressionText(classes, rows)}`;
    const advice =
      "name the column of the labels (--label-column), this one too if it is meant; --task says what it is for";
    throw badData(this.file, `${what}: ${advice}`);
  }

  /** Refuses a few labels that are no numbers if nearly all others are: they would turn all labels into texts. */
  #expectTexts(odd: readonly string[]): void {
    const codes = new Set(odd.map((text) => this.#texts.get(text)?.code));
    const rows = this.#codes.reduce((sum, code) => sum + (codes.has(code) ? 1 : 0), 0);
    if (odd.length > 1 || this.#texts.size < 4 || rows * 10 > this.#codes.length) return;
    const { line } = this.#texts.get(odd[0]) as { line: number };
    const problem = `expected a number as label, ${show(this.name)}, as nearly all others are`;
    throw badData(this.file, `line ${line}: ${problem}, got ${show(odd[0])}`);
  }
}

/** What read the labels of a file. */
export interface LabelReader {
  readonly labels: readonly TableLabels[];
  readonly file: string;
  readonly header: { readonly isNamed: boolean };
}

/**
 * What the label columns of a table are for: what `task` says; otherwise classes of one column, or, if it has many
 * different numbers and was named, a regression; of several columns labels if all are 0 or 1, else a regression. What
 * was found is said.
 */
export function taskOfTable(
  { labels, file }: LabelReader,
  { task, onNote }: TableOptions & { onNote?: ((text: string) => void) | undefined },
): TaskName {
  const names = labels.map(({ name }) => show(name)).join(", ");
  if (labels.length > 1) {
    if (task === "classification") {
      const text = `a classification has one column of classes, got ${labels.length}`;
      throw argumentError("labelColumns", text);
    }
    if (task !== undefined) return task;
    const areLabels = labels.every((column) => column.isBinary);
    const found = areLabels ? "multi-label" : "regression";
    onNote?.(
      `${file}: ${names}: ${areLabels ? "0 and 1 alone: several labels" : "numbers: a regression"} (--task ${found})`,
    );
    return found;
  }
  if (task !== undefined) return task;
  const [label] = labels;
  const different = label.isRegression;
  if (different === null) return "classification";
  onNote?.(
    `${file}: its label, ${names}, has ${different} different numbers: a regression (--task regression; --task classification takes whole numbers as classes)`,
  );
  return "regression";
}

/** Says which classes differ only in how they are written: a slip in a label may have made one of them. */
export function noteAlike(file: string, classNames: readonly string[], onNote?: (text: string) => void): void {
  const alike = new Map<string, string[]>();
  for (const name of classNames) {
    const key = String(parseNumber(name) ?? name.normalize("NFKC").toLowerCase().replaceAll(/\s+/g, " "));
    alike.set(key, [...(alike.get(key) ?? []), name]);
  }
  const names = [...alike.values()].filter(({ length }) => length > 1).flat();
  if (names.length === 0) return;
  const what = "labels that differ only in case, spaces, zeros or Unicode form are classes of their own";
  onNote?.(`${file}: ${what}: ${showList(names, 6)}`);
}

/** The targets of all rows [rows, columns]; `BAD_DATA` with the line of a cell that is none. */
export function tableTargets(
  { labels, file }: LabelReader,
  task: TaskName,
): { labels: Int32Array; targets: Float64Array } {
  const columns = labels.map((column) => column.numbers());
  const [rows, width] = [columns[0].values.length, columns.length];
  const targets = new Float64Array(rows * width);
  for (const [c, { values, lineOf }] of columns.entries()) {
    const wrong = wrongTarget(values, task);
    if (wrong >= 0) {
      const text = `its target, ${show(labels[c].name)}: expected ${targetText(task)}, got ${values[wrong]}`;
      throw badData(file, `line ${lineOf(wrong)}: ${text}`);
    }
    for (let row = 0; row < rows; row++) targets[row * width + c] = values[row];
  }
  return { labels: new Int32Array(rows).fill(NO_LABEL), targets };
}
