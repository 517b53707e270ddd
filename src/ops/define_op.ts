import { types } from "node:util";
import { badArgument, expectFlags, expectOptions } from "../checks.js";
import { isRecording, record } from "../tensor/autograd.js";
import type { Op } from "../tensor/op.js";
import { unread } from "../tensor/reads.js";
import { once } from "../tensor/replay.js";
import { expectTensor, Tensor } from "../tensor/tensor.js";
import { traceOp } from "../tensor/tracer.js";

/** Calls an operation: computes its output, and records it if an input asks for a gradient. */
export interface OpFunction<A, S> {
  (inputs: readonly Tensor[], attributes: A): Tensor;
  /** Calls the operation, and also returns what its `forward` kept for the backward pass. */
  withSaved(inputs: readonly Tensor[], attributes: A): readonly [Tensor, S];
  readonly op: Op<A, S>;
}

/**
 * Defines an operation by its own kernels: everything that the library knows of it is in this one place.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a definition without a name or `forward`, and for inputs that are no list
 * of tensors.
 * @example
 * ```ts
 * const double = defineOp({
 *   name: "double",
 *   forward: ([x]) => ({ data: x!.data.map((value) => 2 * value), shape: x!.shape, saved: null }),
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
    "view",
    "passesGradient",
    "random",
  ]);
  expectDefinition("defineOp", op, ["forward"], ["backward", "barrier", "backwardRows", "lower", "js"]);
  const { random = false, view = false, passesGradient = false, onnx } = op;
  expectFlags({ random, view, passesGradient });
  if (onnx !== undefined && typeof onnx !== "string" && typeof onnx !== "function") {
    throw badArgument(`defineOp: ${op.name}: onnx`, "the name of an operator, or a function", onnx);
  }
  const withSaved = (inputs: readonly Tensor[], attributes: A) => {
    if (!Array.isArray(inputs)) throw badArgument(`${op.name}: inputs`, "a list of tensors", inputs);
    for (let i = 0; i < inputs.length; i++) expectTensor(`${op.name}: input ${i}`, inputs[i]);
    return run(op, inputs, attributes);
  };
  const call = (inputs: readonly Tensor[], attributes: A) => withSaved(inputs, attributes)[0];
  return Object.assign(call, { op, withSaved });
}

/** Refuses the definition of an operation that lacks its name, or has something else where a function is to be. */
export function expectDefinition<D extends { readonly name: string }>(
  what: string,
  definition: D,
  needed: readonly (keyof D & string)[],
  optional: readonly (keyof D & string)[] = [],
): void {
  const { name } = definition;
  if (typeof name !== "string" || name === "") throw badArgument(`${what}: name`, "a name", name);
  for (const key of [...needed, ...optional]) {
    const part = definition[key];
    if (types.isAsyncFunction(part))
      throw badArgument(`${what}: ${name}: ${key}`, "a function that is not async", part);
    if (typeof part === "function" || (part === undefined && optional.includes(key))) continue;
    throw badArgument(`${what}: ${name}: ${key}`, "a function", part);
  }
}

/** Calls an operation on the inputs; `attributes` are its other arguments. */
export function callOp<A, S>(op: Op<A, S>, inputs: readonly Tensor[], attributes: A): Tensor {
  return run(op, inputs, attributes)[0];
}

function run<A, S>(op: Op<A, S>, inputs: readonly Tensor[], attributes: A): readonly [Tensor, S] {
  return once(() => computed(op, inputs, attributes));
}

function computed<A, S>(op: Op<A, S>, inputs: readonly Tensor[], attributes: A): readonly [Tensor, S] {
  const result = unread(() => op.forward(inputs, attributes));
  if (!Array.isArray(result?.shape)) throw badArgument(`${op.name}: forward()`, "{ data, shape, saved }", result);
  const output = new Tensor(result.data, result.shape);
  if (op.view === true) output.shareVersion(inputs[0]);
  traceOp(output, inputs, op, attributes);
  if (op.backward !== undefined && isRecording(inputs)) record(output, op, inputs, attributes, result);
  return [output, result.saved];
}
