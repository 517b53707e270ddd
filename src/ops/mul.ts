import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import { numel } from "../tensor/shape.js";
import type { Tensor } from "../tensor/tensor.js";
import { broadcastShape, widened, writeSummed } from "./broadcast.js";
import { defineOp } from "./define_op.js";
import { defineMethods } from "./methods.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** The product, element by element, with a number or a tensor, broadcast. `torch.mul`. */
    mul(other: Tensor | number): Tensor;
  }
}

const mulTensor = defineOp<null, readonly number[]>({
  name: "mul",
  forward([a, b]) {
    const shape = broadcastShape("mul", a, b);
    const data = allocate(numel(shape));
    native.mul(widened(a, shape), widened(b, shape), data);
    return { data, shape, saved: shape };
  },
  backward(grad, [intoA, intoB], { inputs: [a, b], saved: shape }) {
    writeSummed(intoA, a.shape, shape, (wide) => native.mul(grad, widened(b, shape), wide));
    writeSummed(intoB, b.shape, shape, (wide) => native.mul(grad, widened(a, shape), wide));
  },
  onnx: "Mul",
  lower: () => ({ kind: "mul" }),
});

const mulNumber = defineOp<{ value: number }, null>({
  name: "mulNumber",
  forward([x], { value }) {
    const data = allocate(x.size);
    native.affine(x.data, value, 0, data);
    return { data, shape: x.shape, saved: null };
  },
  backward(grad, [into], { attributes: { value } }) {
    if (into) native.affine(grad, value, 0, into);
  },
  onnx: ({ inputs, attributes }, builder) => ({
    type: "Mul",
    inputs: [...inputs, builder.scalar("constant", attributes.value)],
  }),
  lower: ({ value }) => ({ kind: "affine", factor: value, offset: 0 }),
});

/** a * b element by element, broadcast as NumPy does, or a * number. `torch.mul`. */
export function mul(a: Tensor, b: Tensor | number): Tensor {
  return typeof b === "number" ? mulNumber([a], { value: b }) : mulTensor([a, b], null);
}

defineMethods({ mul });
