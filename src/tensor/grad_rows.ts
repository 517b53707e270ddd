import { native } from "../native.js";
import { rowOf } from "../slices.js";

/** Some rows of a matrix. */
export interface RowValues {
  /** Ascending, each once. */
  readonly rows: Int32Array;
  /** [rows, columns]. */
  readonly values: Float32Array;
}

/** Some rows of a matrix [rows, columns], one after another. */
export function rowsOf(matrix: Float32Array, [length, columns]: readonly number[], rows: Int32Array): Float32Array {
  const out = new Float32Array(rows.length * columns);
  native.gatherRows(matrix, rows, out, length, columns);
  return out;
}

/** Writes rows into a matrix of `columns` columns. */
export function putRows({ rows, values }: RowValues, columns: number, into: Float32Array): void {
  for (let i = 0; i < rows.length; i++) into.set(rowOf(values, i, columns), rows[i] * columns);
}

/** The matrix whose other rows are zero. */
export function wholeOf({ rows, values }: RowValues, [length, columns]: readonly number[]): Float32Array {
  const whole = new Float32Array(length * columns);
  putRows({ rows, values }, columns, whole);
  return whole;
}

/** The numbers that are in one of two ascending lists. */
export function unionOf(a: Int32Array, b: Int32Array): Int32Array {
  return Int32Array.from(new Set([...a, ...b])).sort();
}

/** The sum of two gradients by rows. */
export function sumOfRows(a: RowValues, b: RowValues, columns: number): RowValues {
  const rows = unionOf(a.rows, b.rows);
  const places = new Map(Array.from(rows, (row, i) => [row, i]));
  const values = new Float32Array(rows.length * columns);
  for (const part of [a, b])
    addRows({ ...part, rows: part.rows.map((row) => places.get(row) as number) }, columns, values);
  return { rows, values };
}

/** Adds rows to those of a matrix of `columns` columns. */
export function addRows({ rows, values }: RowValues, columns: number, into: Float32Array): void {
  for (let i = 0; i < rows.length; i++) {
    const [from, to] = [i * columns, rows[i] * columns];
    for (let j = 0; j < columns; j++) into[to + j] += values[from + j];
  }
}
