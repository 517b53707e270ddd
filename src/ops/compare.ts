import { badDtype } from "../checks.js";
import { native } from "../native.js";
import { isRecording } from "../tensor/autograd.js";
import { allocate } from "../tensor/buffer_pool.js";
import { gatherStrided } from "../tensor/gather_strided.js";
import { IntTensor } from "../tensor/int_tensor.js";
import { isSameShape, numel } from "../tensor/shape.js";
import { expectTensor, Tensor } from "../tensor/tensor.js";
import { broadcastOperand, broadcastShape, expanded, expandedStrides, writeSummed } from "./broadcast.js";
import { defineOp } from "./define_op.js";
import { defineMethods } from "./methods.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** 1 where this is equal to a number or a tensor, else 0. `torch.eq`. */
    eq(other: Tensor | number): IntTensor;
    /** 1 where this is not equal to a number or a tensor, else 0. `torch.ne`. */
    ne(other: Tensor | number): IntTensor;
    /** 1 where this is greater than a number or a tensor, else 0. `torch.gt`. */
    gt(other: Tensor | number): IntTensor;
    /** 1 where this is greater or equal, else 0. `torch.ge`. */
    ge(other: Tensor | number): IntTensor;
    /** 1 where this is less than a number or a tensor, else 0. `torch.lt`. */
    lt(other: Tensor | number): IntTensor;
    /** 1 where this is less or equal, else 0. `torch.le`. */
    le(other: Tensor | number): IntTensor;
  }
}

const ROWS = native.comparisonNames();

/** A row of the native table of comparisons: a mask of 0 and 1, broadcast as NumPy does. */
function defineComparison(name: string): (a: Tensor, b: Tensor | number) => IntTensor {
  const row = ROWS.indexOf(name);
  return (a, b) => {
    expectTensor(`${name}: x`, a);
    const other = asTensor(`${name}: other`, b);
    const shape = broadcastShape(name, a, other);
    const out = new Int32Array(numel(shape));
    const [left, right] = [broadcastOperand(a, shape), broadcastOperand(other, shape)];
    native.compare(row, left.data, left.each, right.data, right.each, out);
    return new IntTensor(out, shape);
  };
}

/** 1 where a = b, else 0. `torch.eq`. */
export const eq = defineComparison("eq");
/** 1 where a differs from b, else 0. `torch.ne`. */
export const ne = defineComparison("ne");
/** 1 where a > b, else 0. `torch.gt`. */
export const gt = defineComparison("gt");
/** 1 where a >= b, else 0. `torch.ge`. */
export const ge = defineComparison("ge");
/** 1 where a < b, else 0. `torch.lt`. */
export const lt = defineComparison("lt");
/** 1 where a <= b, else 0. `torch.le`. */
export const le = defineComparison("le");

const selectOp = defineOp<{ mask: IntTensor }, readonly number[]>({
  name: "where",
  forward([a, b], { mask }) {
    const shape = broadcastShape("where", mask, { shape: broadcastShape("where", a, b) });
    const data = allocate(numel(shape));
    const values = (x: Tensor) => (x.size === 1 ? x.data : expanded(x.data, x.shape, shape));
    native.select(expandedMask(mask, shape), values(a), values(b), data);
    return { data, shape, saved: shape };
  },
  backward(grad, [intoA, intoB], { inputs: [a, b], attributes: { mask }, saved: shape }) {
    const wideMask = expandedMask(mask, shape);
    writeSummed(intoA, a.shape, shape, (wide) => native.select(wideMask, grad, ZERO, wide));
    writeSummed(intoB, b.shape, shape, (wide) => native.select(wideMask, ZERO, grad, wide));
  },
});

const ZERO = new Float32Array(1);

/**
 * a where the mask is not 0, else b; all three broadcast as NumPy does, a and b may be numbers. `torch.where`.
 *
 * @example
 * ```ts
 * const x = tensor([1, -2, 3]);
 * where(x.gt(0), x, 0).toArray(); // [1, 0, 3]
 * ```
 */
export function where(mask: IntTensor, a: Tensor | number, b: Tensor | number): Tensor {
  if (!(mask instanceof IntTensor)) throw badDtype("where: mask", "an IntTensor", mask);
  const inputs = [asTensor("where: a", a), asTensor("where: b", b)];
  // A copy, for the backward pass: its array is the caller's.
  return selectOp(inputs, { mask: isRecording(inputs) ? new IntTensor(mask.data.slice(), mask.shape) : mask });
}

function asTensor(name: string, x: Tensor | number): Tensor {
  if (typeof x === "number") return new Tensor(Float32Array.of(x), []);
  expectTensor(name, x);
  return x;
}

function expandedMask(mask: IntTensor, shape: readonly number[]): Int32Array {
  if (isSameShape(mask.shape, shape)) return mask.data;
  const wide = new Int32Array(numel(shape));
  gatherStrided(mask.data, wide, { shape, strides: expandedStrides(mask.shape, shape) });
  return wide;
}

defineMethods({ eq, ne, gt, ge, lt, le });
