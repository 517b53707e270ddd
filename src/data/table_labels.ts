import { show } from "../checks.js";
import { badData } from "../files/index.js";
import { NO_LABEL } from "./dataset.js";
import { isMissing } from "./preprocessing/encode.js";
import { parseNumber } from "./preprocessing/number_format.js";
import { looksLikeRegression, regressionText } from "./regression_labels.js";
import type { TableHeader } from "./table_header.js";

/** The label column of a table, as it is read. */
export class TableLabels {
  /** The code of each label read so far. */
  readonly #codes: number[] = [];
  /** The code of each label's text, and the line that has it first. */
  readonly #texts = new Map<string, { code: number; line: number }>();
  readonly #name: string;

  constructor(
    private readonly file: string,
    private readonly header: TableHeader,
    private readonly unlabelled = false,
  ) {
    this.#name = header.names[header.label];
  }

  add(text: string, line: number): void {
    const isNone = text === "" || isMissing(text);
    if (isNone && this.unlabelled) {
      this.#codes.push(NO_LABEL);
      return;
    }
    if (isNone) {
      const what = text === "" ? "empty" : `missing: ${show(text)}`;
      const advice = "leave the row out, or take it without a label (--unlabelled)";
      throw badData(this.file, `line ${line}: its label, ${show(this.#name)}, is ${what}: ${advice}`);
    }
    const known = this.#texts.get(text);
    if (known === undefined) this.#texts.set(text, { code: this.#texts.size, line });
    this.#codes.push(known?.code ?? this.#texts.size - 1);
  }

  /**
   * The names of the classes, sorted: by their number if all labels are whole numbers, otherwise as texts. `BAD_DATA` if
   * they are numbers as those of a regression.
   */
  classNames(): string[] {
    const texts = [...this.#texts.keys()];
    const numbers = texts.map(parseNumber);
    // A code such as 007 is no number.
    if (texts.some((text) => /^0\d/.test(text))) return texts.sort();
    if (numbers.includes(null)) {
      this.#expectTexts(texts.filter((_, i) => numbers[i] === null));
      return texts.sort();
    }
    for (const [text, { line }] of this.#texts) {
      if (Number.isSafeInteger(parseNumber(text))) continue;
      const advice = `regression is not supported: name the column of the classes (--label-column)`;
      throw badData(
        this.file,
        `line ${line}: expected a class as label, ${show(this.#name)}, got ${show(text)}: ${advice}`,
      );
    }
    const classes = [...new Set(numbers as number[])].sort((a, b) => a - b);
    this.#expectClasses(classes);
    return classes.map(String);
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

  /** Whether the first row alone has its label, and every other label has several rows: so it may be a name. */
  get isFirstAlone(): boolean {
    const counts = new Array<number>(this.#texts.size).fill(0);
    for (const code of this.#codes) if (code !== NO_LABEL) counts[code]++;
    return counts.length > 2 && counts[0] === 1 && counts.every((count, code) => code === 0 || count > 1);
  }

  has(text: string): boolean {
    return this.#texts.has(text);
  }

  /** Refuses many different numbers, which are no classes unless their column was named and they look like classes. */
  #expectClasses(classes: readonly number[]): void {
    const rows = this.#codes.length;
    if (!looksLikeRegression(classes, rows, this.header.labelBy !== "place")) return;
    const what = `its label, ${show(this.#name)}, has ${regressionText(classes, rows)}`;
    const name = "name the column of the classes (--label-column)";
    const advice =
      this.header.labelBy === "place"
        ? `${name}, this one too if it is meant`
        : `${name}, or write classes as texts, such as "c${classes[0]}"`;
    throw badData(this.file, `${what}: ${advice}`);
  }

  /** Refuses a few labels that are no numbers among many that are: they would make texts of all. */
  #expectTexts(odd: readonly string[]): void {
    const codes = new Set(odd.map((text) => this.#texts.get(text)?.code));
    const rows = this.#codes.reduce((sum, code) => sum + (codes.has(code) ? 1 : 0), 0);
    if (odd.length > 1 || this.#texts.size < 4 || rows * 10 > this.#codes.length) return;
    const { line } = this.#texts.get(odd[0]) as { line: number };
    const problem = `expected a number as label, ${show(this.#name)}, as nearly all others are`;
    throw badData(this.file, `line ${line}: ${problem}, got ${show(odd[0])}`);
  }
}
