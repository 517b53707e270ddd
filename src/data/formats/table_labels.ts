import { show } from "../../checks.js";
import { badData } from "../../files/index.js";
import { parseNumber } from "../preprocessing/encode.js";

/** The labels of a table as they are read: texts, by their code in the order of appearance. */
export class LabelReader {
  readonly codes: number[] = [];
  readonly #file: string;
  readonly #name: string;
  /** The code of each text, and the line that has it first. */
  readonly #texts = new Map<string, { code: number; line: number }>();

  constructor(name: string, file: string) {
    this.#name = name;
    this.#file = file;
  }

  take(cell: string, line: number): void {
    if (cell === "") throw badData(this.#file, `line ${line}: its label, ${show(this.#name)}, is empty`);
    const known = this.#texts.get(cell);
    if (known === undefined) this.#texts.set(cell, { code: this.#texts.size, line });
    this.codes.push(known?.code ?? this.#texts.size - 1);
  }

  /**
   * The names of the classes, sorted: by their number where all labels are whole numbers, otherwise as texts. `BAD_DATA`
   * where they are numbers but not whole ones, as those of a regression.
   */
  classNames(): string[] {
    const numbers = [...this.#texts.keys()].map(parseNumber);
    if (numbers.includes(null)) return [...this.#texts.keys()].sort();
    for (const [text, { line }] of this.#texts) {
      if (Number.isSafeInteger(parseNumber(text))) continue;
      throw badData(this.#file, `line ${line}: expected a class as label, ${show(this.#name)}, got ${show(text)}`);
    }
    return [...new Set(numbers as number[])].sort((a, b) => a - b).map(String);
  }

  /** The classes of the rows; `BAD_DATA` with the line of a label that is no class. */
  classes(names: readonly string[]): Int32Array {
    const places = new Map(names.map((name, place) => [name, place]));
    const classes = [...this.#texts].map(([text, { line }]) => {
      const number = parseNumber(text);
      const place = places.get(text) ?? (number === null ? undefined : places.get(String(number)));
      if (place !== undefined) return place;
      throw badData(this.#file, `line ${line}: the label ${show(text)} is not in the training file`);
    });
    return Int32Array.from(this.codes, (code) => classes[code] as number);
  }
}
