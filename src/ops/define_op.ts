import { isRecording, record } from "../tensor/autograd.js";
import type { Op } from "../tensor/op.js";
import { Tensor } from "../tensor/tensor.js";
import { traceOp } from "../tensor/tracer.js";

/** Calls an operation: computes its output, and records it if an input asks for a gradient. */
export type OpFunction<A, S> = ((inputs: readonly Tensor[], attributes: A) => Tensor) & { readonly op: Op<A, S> };

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
  return Object.assign((inputs: readonly Tensor[], attributes: A) => callOp(op, inputs, attributes), { op });
}

/** Calls an operation on the inputs; `attributes` are its other arguments. */
export function callOp<A, S>(op: Op<A, S>, inputs: readonly Tensor[], attributes: A): Tensor {
  const result = op.forward(inputs, attributes);
  const output = new Tensor(result.data, result.shape);
  traceOp(output, inputs, op as Op, attributes);
  if (op.backward !== undefined && isRecording(inputs)) record(output, op, inputs, attributes, result);
  return output;
}
