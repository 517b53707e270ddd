import { native } from "../native.js";
import { newFloats } from "./buffer_pool.js";
import { addRows, type RowValues, rowsOf, sumOfRows, unionOf, wholeOf } from "./grad_rows.js";
import { numel } from "./shape.js";

/** What `backward()` accumulates for a tensor: nothing, all values, or some rows of a matrix whose others are zero. */
export class Gradient {
  /** The values, still to be multiplied by `scale`; null: there is none. */
  data: Float32Array | null;
  /** Whether `data` was handed out: then it always has the values, and its memory is not reused. */
  #isHandedOut: boolean;
  readonly #shape: readonly number[];
  /** The rows that `data` holds; null: all. */
  #rows: Int32Array | null = null;
  /** The rows that are not zero, of a gradient by rows that was read: `data` holds all. */
  #readRows: Int32Array | null = null;
  #scale = 1;
  #recycled: Float32Array | null = null;

  constructor(shape: readonly number[], data: Float32Array | null = null, isHandedOut = false) {
    this.#shape = shape;
    this.data = data;
    this.#isHandedOut = isHandedOut;
  }

  /** A factor by which `data` still has to be multiplied: an optimizer does so while it reads them. */
  get scale(): number {
    return this.#scale;
  }

  get isByRows(): boolean {
    return this.#rows !== null || this.#readRows !== null;
  }

  /** Discards the gradient; its memory is reused unless it was handed out. */
  zero(): void {
    if (this.data !== null && this.#rows === null) this.#recycled = this.#isHandedOut ? null : this.data;
    this.data = null;
    this.#isHandedOut = false;
    this.#rows = null;
    this.#readRows = null;
    this.#scale = 1;
  }

  /** Multiplies it: at once if it was handed out, otherwise when it is next used. */
  multiply(coefficient: number): void {
    if (this.data === null) return;
    this.#scale *= coefficient;
    if (this.#isHandedOut) this.scaled();
  }

  /** Adds a gradient whose other rows are zero; false if there already is one that is not by rows. */
  addRows(added: RowValues): boolean {
    const data = this.scaled();
    const columns = this.#shape[1];
    if (data !== null && this.#readRows !== null) {
      addRows(added, columns, data);
      this.#readRows = unionOf(this.#readRows, added.rows);
      return true;
    }
    if (data !== null && this.#rows === null) return false;
    const sum = this.#rows && data ? sumOfRows({ rows: this.#rows, values: data }, added, columns) : added;
    this.data = sum.values;
    this.#rows = sum.rows;
    return true;
  }

  /** The rows that are not zero, with the factor applied; null if it is not by rows. */
  byRows(): RowValues | null {
    const data = this.scaled();
    if (data === null) return null;
    if (this.#rows !== null) return { rows: this.#rows, values: data };
    const rows = this.#readRows;
    return rows && { rows, values: rowsOf(data, this.#shape, rows) };
  }

  /** `data` with the factor applied. */
  scaled(): Float32Array | null {
    if (this.data !== null && this.#scale !== 1) native.scaleGrads([this.data], this.#scale);
    this.#scale = 1;
    return this.data;
  }

  /** All values with the factor applied, to which any rows may be added. */
  materialized(): Float32Array | null {
    const data = this.#whole();
    this.#readRows = null;
    return data;
  }

  /** All values, for a caller that may keep them. */
  handOut(): Float32Array | null {
    const data = this.#whole();
    this.#isHandedOut = data !== null;
    return data;
  }

  #whole(): Float32Array | null {
    const data = this.scaled();
    if (data === null || this.#rows === null) return data;
    this.data = wholeOf({ rows: this.#rows, values: data }, this.#shape);
    this.#readRows = this.#rows;
    this.#rows = null;
    return this.data;
  }

  /** Memory for a new one. */
  buffer(): Float32Array {
    this.data = this.#recycled ?? newFloats(numel(this.#shape));
    this.#recycled = null;
    return this.data;
  }
}
