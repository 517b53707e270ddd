import { DistilleryError } from "../errors.js";
import type { Module } from "../nn/module.js";
import { noGrad } from "../tensor/autograd.js";
import type { Op } from "../tensor/op.js";
import { Generator, randn, withGenerator } from "../tensor/random.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { withTracer } from "../tensor/tracer.js";

/** An operation as it was computed. */
export interface Recorded {
  readonly output: Tensor;
  readonly inputs: readonly Tensor[];
  readonly op: Op;
  readonly attributes: unknown;
}

/** A forward pass: the operations on the way from its input to its output, in their order. */
export interface Recording {
  readonly input: Tensor;
  readonly output: Tensor;
  readonly steps: readonly Recorded[];
}

/** Runs a network on random rows and records it. It is in eval mode; the current random stream is left alone. */
export function record(network: Module, features: number, rows: number): Recording {
  const traced: Recorded[] = [];
  const sources = new Map<Tensor, Tensor>();
  const sourceOf = (tensor: Tensor) => sources.get(tensor) ?? tensor;
  const tracer = (output: Tensor, inputs: readonly Tensor[], op: Op, attributes: unknown) => {
    if (op.name === "detach") sources.set(output, sourceOf(inputs[0]));
    else traced.push({ output, inputs: inputs.map(sourceOf), op, attributes });
  };
  return withGenerator(new Generator(rows), () =>
    noGrad(() => {
      const input = randn([rows, features]);
      const result = withTracer(tracer, () => network.forward(input));
      expectTensor("network.forward()", result);
      const output = sourceOf(result);
      return { input, output, steps: between(input, output, traced) };
    }),
  );
}

/** The operations that follow from `input` and lead to `output`. */
function between(input: Tensor, output: Tensor, traced: readonly Recorded[]): Recorded[] {
  const after = new Set([input]);
  const following = traced.filter((step) => step.inputs.some((tensor) => after.has(tensor)) && after.add(step.output));
  const before = new Set([output]);
  const leading = following.reverse().filter((step) => {
    if (!before.has(step.output)) return false;
    for (const tensor of step.inputs) before.add(tensor);
    return true;
  });
  return leading.reverse();
}

/** Why a network has no file of its own. */
export function cannotExport(reason: string): DistilleryError {
  return new DistilleryError("BAD_ARGUMENT", `network: expected one that ONNX can express; in forward(), ${reason}`);
}
