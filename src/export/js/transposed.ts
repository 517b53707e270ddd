import type { JsFunction } from "../../tensor/js_form.js";

/** A matrix of so many rows, transposed. */
export function transposed<T extends Float32Array | Int8Array | Uint16Array>(matrix: T, rows: number): T {
  const columns = matrix.length / rows;
  return matrix.map((_, i) => matrix[(i % rows) * columns + Math.floor(i / rows)]) as T;
}

/** The function of exported modules that transposes what is no constant, or is also read by rows. */
export const TRANSPOSED: JsFunction = {
  name: "transposed",
  source: `
/** A matrix of so many columns, transposed. */
function transposed(matrix, columns) {
  const rows = matrix.length / columns;
  const y = new Float32Array(matrix.length);
  for (let c = 0, at = 0; c < columns; c++) {
    for (let row = 0; row < rows; row++) y[at++] = matrix[row * columns + c];
  }
  return y;
}`,
};
