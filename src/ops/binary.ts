import { badArgument } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import type { JsFunction } from "../tensor/js_form.js";
import type { Defined } from "../tensor/op.js";
import { numel } from "../tensor/shape.js";
import { expectTensor, Tensor } from "../tensor/tensor.js";
import { broadcastJs, broadcastOperand, broadcastShape, writeSummed } from "./broadcast.js";
import { defineOp } from "./define_op.js";
import { defineUnaryWith } from "./define_unary.js";
import { extendByAdd, rememberSum } from "./image_fusion.js";
import { defineMethods } from "./methods.js";
import { neg } from "./unary.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** The sum with a number or a tensor, broadcast. `torch.add`. */
    add(other: Tensor | number): Tensor;
    /** The difference to a number or a tensor, broadcast. `torch.sub`. */
    sub(other: Tensor | number): Tensor;
    /** The product, element by element, with a number or a tensor, broadcast. `torch.mul`. */
    mul(other: Tensor | number): Tensor;
    /** The quotient by a number or a tensor, broadcast. `torch.div`. */
    div(other: Tensor | number): Tensor;
    /** The power of a number or a tensor, broadcast. `torch.pow`. */
    pow(exponent: Tensor | number): Tensor;
    /** The larger one of each two elements, broadcast. `torch.maximum`. */
    maximum(other: Tensor): Tensor;
    /** The smaller one of each two elements, broadcast. `torch.minimum`. */
    minimum(other: Tensor): Tensor;
  }
}

/** The positions of the native table's rows. */
const ROWS = new Map(native.binaryNames().map((name, row) => [name, row]));

const ZIP: JsFunction = {
  name: "zip",
  source: `
/** f of each two elements. */
function zip(a, b, f) {
  const y = new Float32Array(a.length);
  for (let i = 0; i < y.length; i++) y[i] = f(a[i], b[i]);
  return y;
}`,
};

/** The operation of a row of the native table `crates/kernels/src/binary.rs`, broadcast as NumPy does. */
function defineBinary(
  name: string,
  options: { onnx?: string; passesGradient?: boolean; js: string },
): ((a: Tensor, b: Tensor) => Tensor) & Defined {
  const row = ROWS.get(name);
  if (row === undefined) throw new DistilleryError("INTERNAL", `${name}: no row of the native table`);
  const { onnx, passesGradient = false, js } = options;
  const op = defineOp<null, readonly number[]>({
    name,
    forward([a, b]) {
      const shape = broadcastShape(name, a, b);
      const data = allocate(numel(shape));
      const [left, right] = [broadcastOperand(a, shape), broadcastOperand(b, shape)];
      native.binaryForward(row, left.data, left.each, right.data, right.each, data);
      return { data, shape, saved: shape };
    },
    backward(grad, into, { inputs: [a, b], saved: shape }) {
      const write = (second: boolean, wide: Float32Array) => {
        const [left, right] = [broadcastOperand(a, shape), broadcastOperand(b, shape)];
        native.binaryBackward(row, second, grad, left.data, left.each, right.data, right.each, wide);
      };
      for (const [i, operand] of [a, b].entries()) {
        writeSummed(into[i], operand.shape, shape, passesGradient ? grad : (wide) => write(i === 1, wide));
      }
    },
    passesGradient,
    lower: () => ({ kind: name }),
    js({ inputs, shapes, shape }, builder) {
      const [a, b] = inputs.map((x, i) => broadcastJs(x, shapes[i], shape, builder));
      return builder.call(ZIP, a, b, `(a, b) => ${js}`);
    },
    onnx,
  });
  const call = (a: Tensor, b: Tensor) => {
    expectTensor(`${name}: x`, a);
    expectTensor(`${name}: other`, b);
    return op([a, b], null);
  };
  return Object.assign(call, { op: op.op });
}

const addTensor = defineBinary("add", { js: "a + b", onnx: "Add", passesGradient: true });
const mulTensor = defineBinary("mul", { js: "a * b", onnx: "Mul" });
const subTensor = defineBinary("sub", { js: "a - b", onnx: "Sub" });
const divTensor = defineBinary("div", { js: "a / b", onnx: "Div" });
const powTensor = defineBinary("pow", { js: "a ** b", onnx: "Pow" });

/** The offset that keeps every bit of a product: -0 + 0 would be 0. */
const NO_OFFSET = -0;

/** factor * x + offset. */
const affine = defineOp<{ factor: number; offset: number }, null>({
  name: "affine",
  forward([x], { factor, offset }) {
    const data = allocate(x.size);
    native.affine(x.data, factor, offset, data);
    return { data, shape: x.shape, saved: null };
  },
  backward(grad, [into], { attributes: { factor } }) {
    if (into && factor === 1) into.set(grad);
    else if (into) native.affine(grad, factor, NO_OFFSET, into);
  },
  onnx: ({ inputs, attributes: { factor, offset } }, builder) =>
    factor === 1
      ? { type: "Add", inputs: [...inputs, builder.scalar("constant", offset)] }
      : { type: "Mul", inputs: [...inputs, builder.scalar("constant", factor)] },
  lower: (attributes) => ({ kind: "affine", ...attributes }),
  js: ({ inputs: [x], attributes: { factor, offset } }) =>
    `${x}.map((v) => ${Object.is(offset, NO_OFFSET) ? `${factor} * v` : `v + ${offset}`})`,
});

const divideBy = defineUnaryWith(
  "divideBy",
  ({ a }) => `v / ${a}`,
  (x, builder, { a }) => ({
    type: "Div",
    inputs: [x, builder.scalar("constant", a)],
  }),
);

const power = defineUnaryWith(
  "power",
  ({ a }) => `v ** ${a}`,
  (x, builder, { a }) => ({
    type: "Pow",
    inputs: [x, builder.scalar("exponent", a)],
  }),
);

/** Of options such as PyTorch's `alpha`, which would be ignored. */
function oneTooMany(name: string, extra: unknown): DistilleryError {
  return badArgument(name, "two operands and no options (multiply first)", extra);
}

/** a + b, broadcast as NumPy does, or a + number. `torch.add`. */
export function add(a: Tensor, b: Tensor | number, extra?: never): Tensor {
  if (extra !== undefined) throw oneTooMany("add", extra);
  if (typeof b === "number") return affine([a], { factor: 1, offset: b });
  if (!(a instanceof Tensor && b instanceof Tensor)) return addTensor(a, b);
  return extendByAdd(addTensor, a, b) ?? rememberSum(addTensor(a, b), a, b);
}

/** a - b, broadcast as NumPy does, or a - number. `torch.sub`. */
export function sub(a: Tensor, b: Tensor | number, extra?: never): Tensor {
  if (extra !== undefined) throw oneTooMany("sub", extra);
  return typeof b === "number" ? affine([a], { factor: 1, offset: -b }) : subTensor(a, b);
}

/** a * b element by element, broadcast as NumPy does, or a * number. `torch.mul`. */
export function mul(a: Tensor, b: Tensor | number, extra?: never): Tensor {
  if (extra !== undefined) throw oneTooMany("mul", extra);
  return typeof b === "number" ? affine([a], { factor: b, offset: NO_OFFSET }) : mulTensor(a, b);
}

/** a / b element by element, broadcast as NumPy does, or a / number. `torch.div`. */
export function div(a: Tensor, b: Tensor | number, extra?: never): Tensor {
  if (extra !== undefined) throw oneTooMany("div", extra);
  return typeof b === "number" ? divideBy(a, { a: b, b: 0 }) : divTensor(a, b);
}

/** a to the power of b, broadcast as NumPy does, or of a number. `torch.pow`. */
export function pow(a: Tensor, b: Tensor | number, extra?: never): Tensor {
  if (extra !== undefined) throw oneTooMany("pow", extra);
  return typeof b === "number" ? power(a, { a: b, b: 0 }) : powTensor(a, b);
}

/**
 * The larger one of each two elements of tensors whose shapes broadcast; NaN if one is. Two equal ones get half of the
 * gradient each. `torch.maximum`.
 *
 * @throws DistilleryError `BAD_DTYPE` for what is no tensor, `SHAPE_MISMATCH` for shapes that do not broadcast.
 * @example
 * ```ts
 * maximum(tensor([1, 5]), tensor([3])).toArray(); // [3, 5]
 * ```
 */
export const maximum = defineBinary("maximum", { js: "Math.max(a, b)", onnx: "Max" });

/**
 * The smaller one of each two elements; otherwise as {@link maximum}. `torch.minimum`.
 *
 * @throws DistilleryError as {@link maximum}.
 * @example
 * ```ts
 * minimum(tensor([1, 5]), tensor([3])).toArray(); // [1, 3]
 * ```
 */
export const minimum = defineBinary("minimum", { js: "Math.min(a, b)", onnx: "Min" });

/**
 * p log(p / q) - p + q of log p and log q: at least 0, and over distributions its sum is KL(p ‖ q), without the
 * cancellation of p (log p - log q). Where both are 0 it is 0.
 */
export const klTerm = defineBinary("klTerm", {
  js: "(a === -Infinity ? 0 : Math.exp(a) * (a - b)) - Math.exp(a) + Math.exp(b)",
});

/** number - x. `torch.rsub`. */
export function rsub(x: Tensor, number: number): Tensor {
  return add(neg(x), number);
}

defineMethods({ add, sub, mul, div, pow, maximum, minimum });
