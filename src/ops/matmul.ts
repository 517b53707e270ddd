import { expectShape } from "../checks.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";
import { defineMethods } from "./methods.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** The matrix product of this [m, k] and other [k, n]. `torch.matmul`. */
    matmul(other: Tensor): Tensor;
  }
}

export const matmulOp = defineOp<null, null>({
  name: "matmul",
  forward([a, b]) {
    const [m, k] = a.shape;
    const n = b.shape[1];
    const data = allocate(m * n);
    native.matmul(a.data, b.data, data, m, k, n);
    return { data, shape: [m, n], saved: null };
  },
  backward(grad, [intoA, intoB], { inputs: [a, b] }) {
    const [k, n] = b.shape;
    const m = a.shape[0];
    if (intoA) native.matmulNt(grad, b.data, intoA, m, n, k);
    if (intoB) native.matmulTn(a.data, grad, intoB, k, m, n);
  },
  onnx: "MatMul",
  lower: () => ({ kind: "matmul" }),
});

/** The matrix product of a [m, k] and b [k, n]. `torch.matmul` for matrices. */
export function matmul(a: Tensor, b: Tensor): Tensor {
  expectTensor("b", b);
  expectShape("matmul: a", a.shape, [-1, -1]);
  expectShape("matmul: b", b.shape, [a.shape[1], -1]);
  return matmulOp([a, b], null);
}

defineMethods({ matmul });
