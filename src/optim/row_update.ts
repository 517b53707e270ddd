import { newFloats } from "../tensor/buffer_pool.js";
import { putRows, rowsOf } from "../tensor/grad_rows.js";
import { Tensor } from "../tensor/tensor.js";

/**
 * One step for the rows of a matrix that have a gradient: these rows and their part of the state are updated as if they
 * were the whole matrix, and put back. The other rows and their state stay unchanged, so a step costs no more for a
 * larger table. Numbers, such as Adam's step, are those of the whole parameter, as in `torch.optim.SparseAdam`; weight
 * decay applies to a row only in its steps.
 */
export function updateRows<S extends object>(
  param: Tensor,
  state: Map<Tensor, S>,
  update: (part: Tensor) => void,
): void {
  const grad = param.gradient.byRows();
  if (grad === null || grad.rows.length === 0) return;
  const { rows } = grad;
  const { shape } = param;
  const part = new Tensor(rowsOf(param.data, shape, rows), [rows.length, shape[1]]);
  part.gradient.data = grad.values;
  const kept = state.get(param) as Values | undefined;
  if (kept !== undefined) state.set(part, mapped(kept, (array) => rowsOf(array, shape, rows)) as S);
  update(part);
  const moved = state.get(part) as Values | undefined;
  state.delete(part);
  putRows({ rows, values: part.data }, shape[1], param.data);
  if (moved === undefined) return;
  const whole: Values = kept ?? {};
  for (const [name, value] of Object.entries(moved)) {
    if (value instanceof Float32Array) {
      const array = (whole[name] ?? newFloats(param.size)) as Float32Array;
      putRows({ rows, values: value }, shape[1], array);
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
