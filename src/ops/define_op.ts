import { expectOptions } from "../checks.js";
import { isRecording, record } from "../tensor/autograd.js";
import type { Op } from "../tensor/op.js";
import { once } from "../tensor/replay.js";
import { Tensor } from "../tensor/tensor.js";
import { traceOp } from "../tensor/tracer.js";

/** Calls an operation: computes its output, and records it if an input asks for a gradient. */
export interface OpFunction<A, S> {
  (inputs: readonly Tensor[], attributes: A): Tensor;
  /** The same, with what `forward` kept for the backward pass. */
  withSaved(inputs: readonly Tensor[], attributes: A): readonly [Tensor, S];
  readonly op: Op<A, S>;
}

/**
 * Defines an operation by its own kernels: everything that the library knows of it is in this one place.
 *
 * @example
 * ```ts
 * const double = defineOp({
 *   name: "double",
 *   forward: ([x]) => ({ data: x.data.map((value) => 2 * value), shape: x.shape, saved: null }),
 *   backward: (grad, [into]) => into?.set(grad.map((value) => 2 * value)),
 * });
 * double([tensor([1, 2])], null).toArray(); // [2, 4]
 * ```
 */
export function defineOp<A, S>(op: Op<A, S>): OpFunction<A, S> {
  expectOptions("defineOp", op, [
    "name",
    "forward",
    "backward",
    "barrier",
    "backwardRows",
    "onnx",
    "lower",
    "js",
    "random",
  ]);
  const call = (inputs: readonly Tensor[], attributes: A) => callOp(op, inputs, attributes);
  const withSaved = (inputs: readonly Tensor[], attributes: A) => run(op, inputs, attributes);
  return Object.assign(call, { op, withSaved });
}

/** Calls an operation on the inputs; `attributes` are its other arguments. */
export function callOp<A, S>(op: Op<A, S>, inputs: readonly Tensor[], attributes: A): Tensor {
  return run(op, inputs, attributes)[0];
}

function run<A, S>(op: Op<A, S>, inputs: readonly Tensor[], attributes: A): readonly [Tensor, S] {
  return once(() => computed(op, inputs, attributes));
}

function computed<A, S>(op: Op<A, S>, inputs: readonly Tensor[], attributes: A): readonly [Tensor, S] {
  const result = op.forward(inputs, attributes);
  const output = new Tensor(result.data, result.shape);
  traceOp(output, inputs, op as Op, attributes);
  if (op.backward !== undefined && isRecording(inputs)) record(output, op, inputs, attributes, result);
  return [output, result.saved];
}
