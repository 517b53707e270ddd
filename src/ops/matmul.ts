import { expectElements, expectShape } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import { currentPrecision } from "../tensor/precision.js";
import { isSameShape, numel } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { mul } from "./binary.js";
import { broadcastShape } from "./broadcast.js";
import { defineOp } from "./define_op.js";
import { expand } from "./expand.js";
import { defineMethods } from "./methods.js";
import { productJs } from "./product.js";
import { reshape } from "./reshape.js";
import { squeeze, unsqueeze } from "./squeeze.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** The matrix product of the last two axes, the others broadcast. `torch.matmul`. */
    matmul(other: Tensor): Tensor;
    /** The matrix products of two batches. `torch.bmm`. */
    bmm(other: Tensor): Tensor;
    /** The products of each element of two vectors. `torch.outer`. */
    outer(other: Tensor): Tensor;
  }
}

/** Whether the operands of its products are rounded to bfloat16, in its backward pass too. */
interface ProductAttributes {
  readonly bfloat16?: boolean;
}

function productOp(name: string) {
  return defineOp<ProductAttributes, null>({
    name,
    forward([a, b], { bfloat16 = false }) {
      const [batch, m, k, n] = sizesOf(a.shape, b.shape);
      const shape = [...a.shape.slice(0, -1), n];
      expectElements("matmul", shape);
      const data = allocate(batch * m * n);
      native.batchedMatmul(a.data, b.data, data, batch, m, k, n, false, false, bfloat16);
      return { data, shape, saved: null };
    },
    backward(grad, [intoA, intoB], { inputs: [a, b], attributes: { bfloat16 = false } }) {
      const [batch, m, k, n] = sizesOf(a.shape, b.shape);
      if (intoA) native.batchedMatmul(grad, b.data, intoA, batch, m, n, k, false, true, bfloat16);
      if (intoB) native.batchedMatmul(a.data, grad, intoB, batch, k, m, n, true, false, bfloat16);
    },
    onnx: "MatMul",
    lower: (attributes) => ({ kind: "matmul", ...attributes }),
    js: ({ inputs: [a, b], shapes: [left, right] }, builder) => productJs([a, b], sizesOf(left, right), builder),
  });
}

const matmulOp = productOp("matmul");
const bmmOp = productOp("bmm");

/** The batch, m, k and n of two matrices, or of two batches of them. */
function sizesOf(a: readonly number[], b: readonly number[]): readonly [number, number, number, number] {
  const rank = a.length;
  return [rank === 3 ? a[0] : 1, a[rank - 2], a[rank - 1], b[rank - 1]];
}

/**
 * The matrix product of the last two axes; the axes before them broadcast as NumPy does, and a vector counts as a row
 * on the left, as a column on the right. `torch.matmul`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH` with both shapes if they do not fit.
 * @example
 * ```ts
 * matmul(ones([5, 1, 2, 3]), ones([4, 3, 2])).shape; // [5, 4, 2, 2]
 * ```
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  expectTensor("matmul: a", a);
  expectTensor("matmul: b", b);
  const [rankA, rankB] = [a.shape.length, b.shape.length];
  if (rankA === 2 && rankB === 2) {
    expectInner(a, b);
    return matmulOp([a, b], {});
  }
  if (rankA === 0 || rankB === 0) expectInner(a, b);
  if (rankA === 1) return squeeze(matmul(unsqueeze(a, 0), b), rankB === 1 ? 0 : -2);
  if (rankB === 1) return squeeze(matmul(a, unsqueeze(b, 1)), -1);
  expectInner(a, b);
  const [k, n] = [a.shape[rankA - 1], b.shape[rankB - 1]];
  if (rankB === 2)
    return reshape(matmulOp([reshape(a, [numel(a.shape.slice(0, -1)), k]), b], {}), [...a.shape.slice(0, -1), n]);
  return batchedProduct(a, b, {});
}

/** {@link matmul} of two batches of matrices, rounded to the current precision as the operands of linear layers are. */
export function matmulInPrecision(a: Tensor, b: Tensor): Tensor {
  expectInner(a, b);
  return batchedProduct(a, b, currentPrecision() === "bfloat16" ? { bfloat16: true } : {});
}

function batchedProduct(a: Tensor, b: Tensor, attributes: ProductAttributes): Tensor {
  const [m, k, n] = [a.shape[a.shape.length - 2], a.shape[a.shape.length - 1], b.shape[b.shape.length - 1]];
  const batch = broadcastShape("matmul", { shape: a.shape.slice(0, -2) }, { shape: b.shape.slice(0, -2) });
  const size = numel(batch);
  const left = reshape(expandTo(a, [...batch, m, k]), [size, m, k]);
  const right = reshape(expandTo(b, [...batch, k, n]), [size, k, n]);
  return reshape(bmmOp([left, right], attributes), [...batch, m, n]);
}

/**
 * The matrix products of two batches, a [batch, m, k] and b [batch, k, n]. `torch.bmm`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH` for other shapes.
 * @example
 * ```ts
 * bmm(ones([5, 2, 3]), ones([5, 3, 4])).shape; // [5, 2, 4]
 * ```
 */
export function bmm(a: Tensor, b: Tensor): Tensor {
  expectTensor("bmm: a", a);
  expectTensor("bmm: b", b);
  expectShape("bmm: a", a.shape, [-1, -1, -1]);
  expectShape("bmm: b", b.shape, [a.shape[0], a.shape[2], -1]);
  return bmmOp([a, b], {});
}

/**
 * a[i] b[j] of two vectors, [m, n]. `torch.outer`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH` for what is no vector.
 * @example
 * ```ts
 * outer(tensor([1, 2]), tensor([3, 4])).toArray(); // [[3, 4], [6, 8]]
 * ```
 */
export function outer(a: Tensor, b: Tensor): Tensor {
  expectTensor("outer: a", a);
  expectTensor("outer: b", b);
  expectShape("outer: a", a.shape, [-1]);
  expectShape("outer: b", b.shape, [-1]);
  return mul(unsqueeze(a, 1), b);
}

function expandTo(x: Tensor, shape: readonly number[]): Tensor {
  return isSameShape(x.shape, shape) ? x : expand(x, shape);
}

function expectInner(a: Tensor, b: Tensor): void {
  const rank = b.shape.length;
  const inner = a.shape[a.shape.length - 1];
  if (a.shape.length > 0 && rank > 0 && inner === b.shape[Math.max(0, rank - 2)]) return;
  const shapes = `[${a.shape.join(", ")}] and [${b.shape.join(", ")}]`;
  throw new DistilleryError("SHAPE_MISMATCH", `matmul: expected shapes [..., m, k] and [..., k, n], got ${shapes}`);
}

defineMethods({ matmul, bmm, outer });
