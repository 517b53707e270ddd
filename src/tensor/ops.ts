import { expectShape, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { type Backward, isRecording, record } from "./autograd.js";
import { sizeOf } from "./int_tensor.js";
import { allocate } from "./memory.js";
import { Tensor } from "./tensor.js";
import { type Operation, told } from "./trace.js";

/** A tensor computed from `inputs` by an operation; recorded with `backward` where one of them asks for a gradient. */
export function output(
  data: Float32Array,
  shape: readonly number[],
  inputs: readonly Tensor[],
  operation: Operation,
  backward: Backward,
): Tensor {
  const tensor = told(new Tensor(data, shape), inputs, operation);
  return isRecording(inputs) ? record(tensor, inputs, backward) : tensor;
}

/** a + b, broadcast as NumPy does, or a + number. `torch.add`. */
export function add(a: Tensor, b: Tensor | number): Tensor {
  if (typeof b === "number") {
    const out = allocate(a.size);
    native.affine(a.data, 1, b, out);
    return output(out, a.shape, [a], { kind: "addNumber", number: b }, (grad, [into]) => into?.set(grad));
  }
  const [wideA, wideB] = broadcast("add", a, b);
  const out = allocate(wideA.size);
  native.add(wideA.data, wideB.data, out);
  return output(out, wideA.shape, [wideA, wideB], { kind: "add" }, (grad, [intoA, intoB]) => {
    intoA?.set(grad);
    intoB?.set(grad);
  });
}

/** a * b element by element, broadcast as NumPy does, or a * number. `torch.mul`. */
export function mul(a: Tensor, b: Tensor | number): Tensor {
  if (typeof b === "number") {
    const out = allocate(a.size);
    native.affine(a.data, b, 0, out);
    const operation = { kind: "mulNumber", number: b } as const;
    return output(out, a.shape, [a], operation, (grad, [into]) => into && native.affine(grad, b, 0, into));
  }
  const [wideA, wideB] = broadcast("mul", a, b);
  const out = allocate(wideA.size);
  native.mul(wideA.data, wideB.data, out);
  return output(out, wideA.shape, [wideA, wideB], { kind: "mul" }, (grad, [intoA, intoB]) => {
    if (intoA) native.mul(grad, wideB.data, intoA);
    if (intoB) native.mul(grad, wideA.data, intoB);
  });
}

/** The matrix product of a [m, k] and b [k, n]. `torch.matmul` for matrices. */
export function matmul(a: Tensor, b: Tensor): Tensor {
  expectTensor("b", b);
  expectShape("matmul: a", a.shape, [-1, -1]);
  const [m, k] = a.shape as [number, number];
  expectShape("matmul: b", b.shape, [k, -1]);
  const n = b.shape[1] as number;
  const out = allocate(m * n);
  native.matmul(a.data, b.data, out, m, k, n);
  return output(out, [m, n], [a, b], { kind: "matmul" }, (grad, [intoA, intoB]) => {
    if (intoA) native.matmulNt(grad, b.data, intoA, m, n, k);
    if (intoB) native.matmulTn(a.data, grad, intoB, k, m, n);
  });
}

/** max(x, 0); NaN stays NaN. `torch.relu`. */
export function relu(x: Tensor): Tensor {
  expectTensor("x", x);
  const out = allocate(x.size);
  native.reluForward(x.data, out);
  return output(out, x.shape, [x], { kind: "relu" }, (grad, [into]) => into && native.reluBackward(grad, out, into));
}

/** Refuses what is not a tensor, naming the argument. */
export function expectTensor(name: string, value: unknown): asserts value is Tensor {
  if (value instanceof Tensor) return;
  throw new DistilleryError("BAD_DTYPE", `${name}: expected a Tensor, got ${show(value)}`);
}

/** Both tensors in their common shape. */
function broadcast(op: string, a: Tensor, b: Tensor): [Tensor, Tensor] {
  expectTensor(`${op}: other`, b);
  const rank = Math.max(a.shape.length, b.shape.length);
  const length = (t: Tensor, axis: number) => t.shape[axis - rank + t.shape.length] ?? 1;
  const shape = Array.from({ length: rank }, (_, axis) => {
    const [ofA, ofB] = [length(a, axis), length(b, axis)];
    if (ofA !== ofB && ofA !== 1 && ofB !== 1) expectShape(`${op}: other`, b.shape, a.shape);
    return ofA === 1 ? ofB : ofA;
  });
  return [expand(a, shape), expand(b, shape)];
}

function expand(x: Tensor, shape: readonly number[]): Tensor {
  if (shape.length === x.shape.length && shape.every((length, axis) => length === x.shape[axis])) return x;
  const [from, to] = [[...x.shape], [...shape]];
  const out = allocate(sizeOf(shape));
  native.expand(x.data, from, out, to);
  return output(out, shape, [x], { kind: "expand" }, (grad, [into]) => into && native.sumTo(grad, to, into, from));
}
