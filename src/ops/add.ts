import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import { numel } from "../tensor/shape.js";
import type { Tensor } from "../tensor/tensor.js";
import { broadcastShape, widened, writeSummed } from "./broadcast.js";
import { defineOp } from "./define_op.js";
import { defineMethods } from "./methods.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** The sum with a number or a tensor, broadcast. `torch.add`. */
    add(other: Tensor | number): Tensor;
  }
}

const addTensor = defineOp<null, readonly number[]>({
  name: "add",
  forward([a, b]) {
    const shape = broadcastShape("add", a, b);
    const data = allocate(numel(shape));
    native.add(widened(a, shape), widened(b, shape), data);
    return { data, shape, saved: shape };
  },
  backward(grad, [intoA, intoB], { inputs: [a, b], saved: shape }) {
    writeSummed(intoA, a.shape, shape, (wide) => wide.set(grad));
    writeSummed(intoB, b.shape, shape, (wide) => wide.set(grad));
  },
  onnx: "Add",
  lower: () => ({ kind: "add" }),
});

const addNumber = defineOp<{ value: number }, null>({
  name: "addNumber",
  forward([x], { value }) {
    const data = allocate(x.size);
    native.affine(x.data, 1, value, data);
    return { data, shape: x.shape, saved: null };
  },
  backward: (grad, [into]) => into?.set(grad),
  onnx: ({ inputs, attributes }, builder) => ({
    type: "Add",
    inputs: [...inputs, builder.scalar("constant", attributes.value)],
  }),
  lower: ({ value }) => ({ kind: "affine", factor: 1, offset: value }),
});

/** a + b, broadcast as NumPy does, or a + number. `torch.add`. */
export function add(a: Tensor, b: Tensor | number): Tensor {
  return typeof b === "number" ? addNumber([a], { value: b }) : addTensor([a, b], null);
}

defineMethods({ add });
