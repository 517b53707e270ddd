import { expectShape } from "../checks.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import { isSameShape, numel } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";

/** Repeats x along the axes where the shape is larger. */
export const expandTo = defineOp<{ shape: readonly number[] }, null>({
  name: "expand",
  forward([x], { shape }) {
    const data = allocate(numel(shape));
    native.expand(x.data, [...x.shape], data, [...shape]);
    return { data, shape, saved: null };
  },
  backward(grad, [into], { inputs: [x], attributes: { shape } }) {
    if (into) native.sumTo(grad, [...shape], into, [...x.shape]);
  },
});

/** Both tensors in the shape that NumPy broadcasts them to. */
export function broadcast(op: string, a: Tensor, b: Tensor): readonly [Tensor, Tensor] {
  expectTensor(`${op}: other`, b);
  if (isSameShape(a.shape, b.shape)) return [a, b];
  const rank = Math.max(a.shape.length, b.shape.length);
  const length = (t: Tensor, axis: number) => t.shape[axis - rank + t.shape.length] ?? 1;
  const shape = Array.from({ length: rank }, (_, axis) => {
    const [ofA, ofB] = [length(a, axis), length(b, axis)];
    if (ofA !== ofB && ofA !== 1 && ofB !== 1) expectShape(`${op}: other`, b.shape, a.shape);
    return ofA === 1 ? ofB : ofA;
  });
  return [widen(a, shape), widen(b, shape)];
}

function widen(x: Tensor, shape: readonly number[]): Tensor {
  return isSameShape(x.shape, shape) ? x : expandTo([x], { shape });
}
