import { expectInteger } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { IntTensor, sizeOf } from "./int_tensor.js";
import { allocate } from "./memory.js";
import { expectTensor, output } from "./ops.js";
import type { Tensor } from "./tensor.js";

/** The sum of all elements, or along one axis. `torch.sum`. */
export function sum(x: Tensor, dim?: number, keepdim = false): Tensor {
  return reduce("sum", x, dim, keepdim);
}

/** The mean of all elements, or along one axis. `torch.mean`. */
export function mean(x: Tensor, dim?: number, keepdim = false): Tensor {
  return reduce("mean", x, dim, keepdim);
}

/** Softmax over the last axis: exp(x) / sum(exp(x)). `torch.softmax`. */
export function softmax(x: Tensor, dim = -1): Tensor {
  return soften(x, dim, false);
}

/** The logarithm of softmax over the last axis. `torch.log_softmax`. */
export function logSoftmax(x: Tensor, dim = -1): Tensor {
  return soften(x, dim, true);
}

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

function reduce(kind: "sum" | "mean", x: Tensor, dim: number | undefined, keepdim: boolean): Tensor {
  const axis = dim === undefined ? null : axisOf(x, dim);
  const outer = axis === null ? 1 : sizeOf(x.shape.slice(0, axis));
  const length = axis === null ? x.size : (x.shape[axis] as number);
  const inner = axis === null ? 1 : sizeOf(x.shape.slice(axis + 1));
  const scale = kind === "mean" ? 1 / length : 1;
  const kept = x.shape.map((n, i) => (axis === null || i === axis ? 1 : n));
  const shape = keepdim ? kept : axis === null ? [] : x.shape.filter((_, i) => i !== axis);
  const out = allocate(outer * inner);
  native.sumAxis(x.data, out, outer, length, inner, scale);
  return output(out, shape, [x], { kind, axis, keepdim }, (grad, [into]) => {
    if (!into) return;
    native.expand(grad, [outer, 1, inner], into, [outer, length, inner]);
    if (scale === 1) return;
    const wide = allocate(into.length);
    wide.set(into);
    native.affine(wide, scale, 0, into);
  });
}

function soften(x: Tensor, dim: number, log: boolean): Tensor {
  expectTensor("x", x);
  if (axisOf(x, dim) !== x.shape.length - 1) {
    throw new DistilleryError("BAD_ARGUMENT", `dim: expected the last axis (-1 or ${x.shape.length - 1}), got ${dim}`);
  }
  const columns = x.shape.at(-1) as number;
  const rows = columns === 0 ? 0 : x.size / columns;
  const out = allocate(x.size);
  native.softmaxForward(x.data, out, rows, columns, log);
  return output(
    out,
    x.shape,
    [x],
    { kind: log ? "logSoftmax" : "softmax" },
    (grad, [into]) => into && native.softmaxBackward(grad, out, into, rows, columns, log),
  );
}

function axisOf(x: Tensor, dim: number): number {
  const rank = x.shape.length;
  if (rank === 0) throw new DistilleryError("SHAPE_MISMATCH", "dim: expected a tensor with at least one axis, got []");
  const axis = expectInteger("dim", dim, -rank, rank - 1);
  return axis < 0 ? axis + rank : axis;
}
