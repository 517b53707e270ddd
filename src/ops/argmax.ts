import { native } from "../native.js";
import { IntTensor } from "../tensor/int_tensor.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";

/**
 * The column of the largest value of each row of x [rows, columns], as int32 [rows]. `torch.argmax` with dim=1.
 *
 * @example
 * ```ts
 * argmax(tensor([[0.1, 0.9], [0.8, 0.2]])).data; // Int32Array [1, 0]
 * ```
 */
export function argmax(x: Tensor): IntTensor {
  expectTensor("x", x);
  const columns = x.shape.at(-1) ?? 1;
  const rows = columns === 0 ? 0 : x.size / columns;
  const out = new Int32Array(rows);
  native.argmax(x.data, out, rows, columns);
  return new IntTensor(out, x.shape.slice(0, -1));
}
