import { expectInteger } from "../checks.js";
import { native } from "../native.js";
import { gatherStrided } from "../tensor/gather_strided.js";
import { IntTensor } from "../tensor/int_tensor.js";
import { axisOrAll, stridesOf } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { gather } from "./indexing.js";
import type { ValuesAndIndices } from "./max.js";
import { defineMethods } from "./methods.js";
import { transpose } from "./permute.js";
import { reshape } from "./reshape.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** The k largest along an axis, in descending order, with their indices. `torch.topk`. */
    topk(k: number, dim?: number, largest?: boolean): ValuesAndIndices;
  }
}

/**
 * The k largest (or smallest) along an axis, the last one by default, in their order, with their indices; of equals the
 * first come first. `torch.topk`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `BAD_ARGUMENT` for a k above the length of the axis.
 * @example
 * ```ts
 * tensor([3, 1, 2]).topk(2).indices.data; // Int32Array [0, 2]
 * ```
 */
export function topk(x: Tensor, k: number, dim = -1, largest = true): ValuesAndIndices {
  expectTensor("topk: x", x);
  const axis = axisOrAll(x.shape, dim);
  if (axis === null) {
    const { values, indices } = topk(reshape(x, [1]), expectInteger("topk: k", k, 1, 1), 0, largest);
    return { values: reshape(values, []), indices: new IntTensor(indices.data, []) };
  }
  const last = x.shape.length - 1;
  if (axis !== last) {
    const behind = topk(transpose(x, axis, last), k, -1, largest);
    const values = transpose(behind.values, axis, last);
    const indices = new IntTensor(new Int32Array(values.size), values.shape);
    const strides = stridesOf(behind.indices.shape);
    const exchanged = x.shape.map((_, i) => strides[i === axis ? last : i === last ? axis : i]);
    gatherStrided(behind.indices.data, indices.data, { shape: values.shape, strides: exchanged });
    return { values, indices };
  }
  const length = x.shape[last];
  expectInteger("topk: k", k, 0, length);
  const data = new Int32Array(length === 0 ? 0 : (x.size / length) * k);
  native.topk(x.data, data, length, k, largest);
  const indices = new IntTensor(data, [...x.shape.slice(0, -1), k]);
  return { values: gather(x, last, indices), indices };
}

defineMethods({ topk });
