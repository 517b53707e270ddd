import { native } from "../native.js";
import { Tensor } from "../tensor/tensor.js";

/**
 * One step of the rows of a matrix that have a gradient: they and their part of the state are moved as if they were all of it, and
 * put back. The others, and what an optimizer keeps for them, stay as they are, so a step costs no more for a larger table. Numbers,
 * such as Adam's step, are those of the whole parameter, as in `torch.optim.SparseAdam`; weight decay reaches a row only in its steps.
 */
export function updateRows<S extends object>(
  param: Tensor,
  state: Map<Tensor, S>,
  update: (part: Tensor) => void,
): void {
  const { gradRows: rows } = param;
  const gradData = param.scaledGrad();
  if (rows === null || gradData === null || rows.length === 0) return;
  const part = new Tensor(rowsOf(param.data, param, rows), [rows.length, param.shape[1]]);
  part.gradData = gradData;
  const kept = state.get(param) as Values | undefined;
  if (kept !== undefined) state.set(part, mapped(kept, (array) => rowsOf(array, param, rows)) as S);
  update(part);
  const moved = state.get(part) as Values | undefined;
  state.delete(part);
  put(part.data, param.data, param, rows);
  if (moved === undefined) return;
  const whole: Values = kept ?? {};
  for (const [name, value] of Object.entries(moved)) {
    if (value instanceof Float32Array) {
      const array = (whole[name] ?? new Float32Array(param.size)) as Float32Array;
      put(value, array, param, rows);
      whole[name] = array;
    } else whole[name] = value;
  }
  if (kept === undefined) state.set(param, whole as S);
}

type Values = Record<string, unknown>;

function mapped(values: Values, change: (array: Float32Array) => Float32Array): Values {
  const entries = Object.entries(values).map(([name, value]) => [
    name,
    value instanceof Float32Array ? change(value) : value,
  ]);
  return Object.fromEntries(entries);
}

function rowsOf(array: Float32Array, { shape }: Tensor, rows: Int32Array): Float32Array {
  const out = new Float32Array(rows.length * shape[1]);
  native.gatherRows(array, rows, out, shape[0], shape[1]);
  return out;
}

function put(values: Float32Array, into: Float32Array, { shape }: Tensor, rows: Int32Array): void {
  const columns = shape[1];
  for (const [i, row] of rows.entries()) into.set(values.subarray(i * columns, (i + 1) * columns), row * columns);
}
