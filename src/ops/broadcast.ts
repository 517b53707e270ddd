import { expectShape } from "../checks.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import { isSameShape, numel } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";

/** The shape that NumPy broadcasts two tensors to. */
export function broadcastShape(op: string, a: Tensor, b: Tensor): readonly number[] {
  expectTensor(`${op}: other`, b);
  if (isSameShape(a.shape, b.shape)) return a.shape;
  const rank = Math.max(a.shape.length, b.shape.length);
  const length = (t: Tensor, axis: number) => t.shape[axis - rank + t.shape.length] ?? 1;
  return Array.from({ length: rank }, (_, axis) => {
    const [ofA, ofB] = [length(a, axis), length(b, axis)];
    if (ofA !== ofB && ofA !== 1 && ofB !== 1) expectShape(`${op}: other`, b.shape, a.shape);
    return ofA === 1 ? ofB : ofA;
  });
}

/** The elements of x, repeated along the axes where the shape is larger. */
export function widened(x: Tensor, shape: readonly number[]): Float32Array {
  if (isSameShape(x.shape, shape)) return x.data;
  const wide = allocate(numel(shape));
  native.expand(x.data, [...x.shape], wide, [...shape]);
  return wide;
}

/**
 * Writes a gradient of the broadcast shape into that of an operand, summed over what was repeated: `write` fills an
 * array of the broadcast shape.
 */
export function writeSummed(
  into: Float32Array | null,
  operand: readonly number[],
  shape: readonly number[],
  write: (wide: Float32Array) => void,
): void {
  if (into === null) return;
  const isSame = isSameShape(operand, shape);
  const wide = isSame ? into : allocate(numel(shape));
  write(wide);
  if (!isSame) native.sumTo(wide, [...shape], into, [...operand]);
}
