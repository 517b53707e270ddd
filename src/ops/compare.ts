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

/** What a tensor is compared with; beside floats whole numbers are rounded to floats, as in PyTorch. */
type Operand = Tensor | IntTensor | number;

interface Comparisons {
  /** 1 where this is equal to a number or a tensor, else 0. `torch.eq`. */
  eq(other: Operand): IntTensor;
  /** 1 where this is not equal to a number or a tensor, else 0. `torch.ne`. */
  ne(other: Operand): IntTensor;
  /** 1 where this is greater than a number or a tensor, else 0. `torch.gt`. */
  gt(other: Operand): IntTensor;
  /** 1 where this is greater or equal, else 0. `torch.ge`. */
  ge(other: Operand): IntTensor;
  /** 1 where this is less than a number or a tensor, else 0. `torch.lt`. */
  lt(other: Operand): IntTensor;
  /** 1 where this is less or equal, else 0. `torch.le`. */
  le(other: Operand): IntTensor;
}

declare module "../tensor/tensor.js" {
  interface Tensor extends Comparisons {}
}

declare module "../tensor/int_tensor.js" {
  interface IntTensor extends Comparisons {}
}

const ROWS = native.comparisonNames();

/** A row of the native table of comparisons: a mask of 0 and 1, broadcast as NumPy does. */
function defineComparison(name: string, holds: (a: number, b: number) => boolean) {
  const row = ROWS.indexOf(name);
  return (a: Tensor | IntTensor, b: Operand): IntTensor => {
    if (a instanceof IntTensor && !(b instanceof Tensor)) return compareWhole(name, holds, a, b);
    const x = a instanceof IntTensor ? a.float() : a;
    expectTensor(`${name}: x`, x);
    const other = asTensor(`${name}: other`, b instanceof IntTensor ? b.float() : b);
    const shape = broadcastShape(name, x, other);
    const out = new Int32Array(numel(shape));
    const [left, right] = [broadcastOperand(x, shape), broadcastOperand(other, shape)];
    native.compare(row, left.data, left.each, right.data, right.each, out);
    return new IntTensor(out, shape);
  };
}

/** Whole numbers among themselves: not as floats, which hold those up to 2^24. */
function compareWhole(
  name: string,
  holds: (a: number, b: number) => boolean,
  a: IntTensor,
  b: IntTensor | number,
): IntTensor {
  if (typeof b === "number")
    return new IntTensor(
      a.data.map((x) => Number(holds(x, b))),
      a.shape,
    );
  if (!(b instanceof IntTensor)) throw badDtype(`${name}: other`, "a Tensor, an IntTensor or a number", b);
  const shape = broadcastShape(name, a, b);
  const right = expandedWhole(b, shape);
  return new IntTensor(
    expandedWhole(a, shape).map((x, i) => Number(holds(x, right[i]))),
    shape,
  );
}

/** 1 where a = b, else 0. `torch.eq`. */
export const eq = defineComparison("eq", (a, b) => a === b);
/** 1 where a differs from b, else 0. `torch.ne`. */
export const ne = defineComparison("ne", (a, b) => a !== b);
/** 1 where a > b, else 0. `torch.gt`. */
export const gt = defineComparison("gt", (a, b) => a > b);
/** 1 where a >= b, else 0. `torch.ge`. */
export const ge = defineComparison("ge", (a, b) => a >= b);
/** 1 where a < b, else 0. `torch.lt`. */
export const lt = defineComparison("lt", (a, b) => a < b);
/** 1 where a <= b, else 0. `torch.le`. */
export const le = defineComparison("le", (a, b) => a <= b);

const selectOp = defineOp<{ mask: IntTensor }, readonly number[]>({
  name: "where",
  forward([a, b], { mask }) {
    const shape = broadcastShape("where", mask, { shape: broadcastShape("where", a, b) });
    const data = allocate(numel(shape));
    const values = (x: Tensor) => (x.size === 1 ? x.data : expanded(x.data, x.shape, shape));
    native.select(expandedWhole(mask, shape), values(a), values(b), data);
    return { data, shape, saved: shape };
  },
  backward(grad, [intoA, intoB], { inputs: [a, b], attributes: { mask }, saved: shape }) {
    const wideMask = expandedWhole(mask, shape);
    writeSummed(intoA, a.shape, shape, (wide) => native.select(wideMask, grad, ZERO, wide));
    writeSummed(intoB, b.shape, shape, (wide) => native.select(wideMask, ZERO, grad, wide));
  },
});

const ZERO = new Float32Array(1);

/**
 * a where the mask is not 0, else b; all three broadcast as NumPy does, a and b may be numbers. `torch.where`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH` for shapes that do not broadcast.
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

function expandedWhole(x: IntTensor, shape: readonly number[]): Int32Array {
  if (isSameShape(x.shape, shape)) return x.data;
  const wide = new Int32Array(numel(shape));
  gatherStrided(x.data, wide, { shape, strides: expandedStrides(x.shape, shape) });
  return wide;
}

defineMethods({ eq, ne, gt, ge, lt, le });
defineMethods({ eq, ne, gt, ge, lt, le }, IntTensor);
