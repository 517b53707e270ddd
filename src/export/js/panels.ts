import { type JsFunction, PANEL } from "../../tensor/js_form.js";

/**
 * A matrix by panels of `panel` rows: in each panel column after column, a column's rows side by side. The last panel
 * may have fewer.
 */
export function byPanels<T extends Float32Array | Int8Array | Uint16Array>(matrix: T, rows: number, panel: number): T {
  if (panel === 1) return matrix;
  const columns = matrix.length / rows;
  const packed = matrix.slice() as T;
  for (let first = 0, at = 0; first < rows; first += panel) {
    const end = Math.min(first + panel, rows);
    for (let c = 0; c < columns; c++) {
      for (let row = first; row < end; row++) packed[at++] = matrix[row * columns + c];
    }
  }
  return packed;
}

/** The function of exported modules that does this with what is no constant, or is read in rows as well. */
export const PANELS: JsFunction = {
  name: "panels",
  source: `
const panelsOf = new WeakMap();

/** A matrix by panels: ${PANEL} rows at a time, those of a column side by side; the last panel may have fewer rows. */
function panels(matrix, columns) {
  const known = panelsOf.get(matrix);
  if (known !== undefined) return known;
  const rows = matrix.length / columns;
  const packed = new Float32Array(matrix.length);
  for (let first = 0, at = 0; first < rows; first += ${PANEL}) {
    const end = Math.min(first + ${PANEL}, rows);
    for (let c = 0; c < columns; c++) {
      for (let row = first; row < end; row++) packed[at++] = matrix[row * columns + c];
    }
  }
  panelsOf.set(matrix, packed);
  return packed;
}`,
};
