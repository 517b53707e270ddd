import { expectInteger, expectShape, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { rowRange, sizeOf } from "./int_tensor.js";
import { output } from "./ops.js";
import type { Tensor } from "./tensor.js";

/** Rows `start` to `end` (not included) of the first axis, as `x[start:end]` in PyTorch; shares memory. */
export function slice(x: Tensor, start: number, end: number = x.shape[0] ?? 0): Tensor {
  const { from, to, width } = rowRange(x.shape, start, end);
  const data = x.data.subarray(from * width, to * width);
  const shape = [to - from, ...x.shape.slice(1)];
  return output(data, shape, [x], { kind: "slice" }, (grad, [into]) => into?.fill(0).set(grad, from * width));
}

/** The same elements in another shape, one length of which may be -1; shares memory. `torch.reshape`. */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  if (!Array.isArray(shape)) {
    throw new DistilleryError("BAD_ARGUMENT", `shape: expected a list of lengths, got ${show(shape)}`);
  }
  for (const [i, length] of shape.entries()) expectInteger(`shape[${i}]`, length, -1, 2 ** 31 - 1);
  const known = sizeOf(shape.filter((length) => length !== -1));
  const free = shape.filter((length) => length === -1).length;
  const inferred = free === 1 && known > 0 ? x.size / known : 0;
  const full = shape.map((length) => (length === -1 ? inferred : length));
  if (free > 1) throw new DistilleryError("BAD_ARGUMENT", "shape: expected -1 at most once");
  if (!Number.isInteger(inferred)) expectShape("reshape: x", x.shape, shape);
  expectShape("reshape: elements", [x.size], [sizeOf(full)]);
  return output(x.data, full, [x], { kind: "reshape" }, (grad, [into]) => into?.set(grad));
}
