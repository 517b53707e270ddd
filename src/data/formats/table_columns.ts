import { show } from "../../checks.js";
import { badData } from "../../files/index.js";
import type { TableColumn } from "../dataset.js";
import { parseNumber } from "../preprocessing/encode.js";
import { MAX_CATEGORIES } from "../preprocessing/spec.js";

/** The cells of a column as they are read: numbers, or texts by their code in the order of appearance. */
export class ColumnReader {
  readonly name: string;
  /** A number, or a category's code, for each row. */
  readonly cells: number[] = [];
  readonly #file: string;
  /** The codes of texts; null for a column of numbers. */
  readonly #codes: Map<string, number> | null;
  /** Whether a text that is new is refused. */
  readonly #isClosed: boolean;

  /** Its first cell says whether it is a column of numbers, or the training file's column that it continues does. */
  constructor(name: string, file: string, like: string | ColumnReader) {
    this.name = name;
    this.#file = file;
    this.#isClosed = like instanceof ColumnReader;
    if (like instanceof ColumnReader) this.#codes = like.#codes;
    else this.#codes = parseNumber(like) === null && like !== "" ? new Map() : null;
  }

  /** `BAD_DATA` with file, line and column for a cell that does not fit. */
  take(cell: string, line: number): void {
    if (cell === "") throw this.#bad(line, "is empty");
    this.cells.push(this.#codes === null ? this.#number(cell, line) : this.#code(cell, line, this.#codes));
  }

  /** What the column's cells become, its numbers measured over these rows. */
  describe(rows: Int32Array): TableColumn {
    const { name } = this;
    if (this.#codes !== null) return { name, categories: [...this.#codes.keys()].sort() };
    const { mean, std } = this.#moments(rows);
    if (Number.isFinite(mean) && Number.isFinite(std)) return { name, mean, std };
    throw badData(this.#file, `${show(name)}: its numbers are too large to be standardised`);
  }

  /** Writes what each row's cell becomes at `at` of its `width` values; zeros stand there. */
  encode(column: TableColumn, out: Float32Array, at: number, width: number): void {
    if ("mean" in column) {
      this.cells.forEach((x, row) => {
        out[row * width + at] = (x - column.mean) / column.std;
      });
      return;
    }
    const places = [...(this.#codes ?? new Map<string, number>()).keys()].map((text) =>
      column.categories.indexOf(text),
    );
    this.cells.forEach((code, row) => {
      out[row * width + at + (places[code] as number)] = 1;
    });
  }

  /** The mean and the population's standard deviation; 1 where all are equal, so that they become 0. */
  #moments(rows: Int32Array): { mean: number; std: number } {
    const first = this.cells[rows[0] as number] as number;
    let [sum, squares, same] = [0, 0, true];
    // About the first: whole numbers far from 0 keep their digits.
    // By index: the iterator of a typed array is several times slower.
    for (let i = 0; i < rows.length; i++) sum += (this.cells[rows[i] as number] as number) - first;
    const mean = sum / rows.length;
    for (let i = 0; i < rows.length; i++) {
      const distance = (this.cells[rows[i] as number] as number) - first;
      squares += (distance - mean) ** 2;
      same &&= distance === 0;
    }
    const std = Math.sqrt(squares / rows.length);
    return { mean: first + mean, std: same || std === 0 ? 1 : std };
  }

  #number(cell: string, line: number): number {
    const x = parseNumber(cell);
    if (x !== null) return x;
    throw this.#bad(line, `expected a number, as in the first row, got ${show(cell)}`);
  }

  #code(cell: string, line: number, codes: Map<string, number>): number {
    const known = codes.get(cell);
    if (known !== undefined) return known;
    if (this.#isClosed) throw this.#bad(line, `${show(cell)} is not in the training file`);
    if (codes.size === MAX_CATEGORIES) {
      const advice = `only numbers and columns of at most ${MAX_CATEGORIES} texts are read: leave the column out`;
      throw this.#bad(line, `a column of texts, ${show(cell)} is number ${MAX_CATEGORIES + 1}: ${advice}`);
    }
    codes.set(cell, codes.size);
    return codes.size - 1;
  }

  #bad(line: number, problem: string): Error {
    return badData(this.#file, `line ${line}, ${show(this.name)}: ${problem}`);
  }
}
