import { DistilleryError } from "../errors.js";
import type { Module } from "../nn/module.js";
import { noGrad } from "../tensor/autograd.js";
import { expectTensor } from "../tensor/ops.js";
import { Generator, randn, withGenerator } from "../tensor/random.js";
import { Tensor } from "../tensor/tensor.js";
import { listening, type Operation } from "../tensor/trace.js";
import type { StepOperation } from "./graph.js";

/** An operation as it was computed. */
export interface Recorded {
  readonly output: Tensor;
  readonly inputs: readonly Tensor[];
  readonly operation: StepOperation;
}

/** A forward pass: the operations on the way from its input to its output, in their order. */
export interface Recording {
  readonly input: Tensor;
  readonly output: Tensor;
  readonly steps: readonly Recorded[];
}

type Heard = Omit<Recorded, "operation"> & { operation: Operation };

/** Runs a network on random rows and records it. It is in eval mode; the current random stream is left alone. */
export function record(network: Module, features: number, rows: number): Recording {
  const heard: Heard[] = [];
  const sources = new Map<Tensor, Tensor>();
  const sourceOf = (tensor: Tensor) => sources.get(tensor) ?? tensor;
  const hear = (output: Tensor, inputs: readonly Tensor[], operation: Operation) => {
    // ONNX broadcasts by itself, by the same rule.
    const isSource = operation.kind === "expand" || operation.kind === "detach";
    if (isSource) sources.set(output, sourceOf(inputs[0] as Tensor));
    else heard.push({ output, inputs: allInputs(inputs, operation).map(sourceOf), operation });
  };
  return withGenerator(new Generator(rows), () =>
    noGrad(() => {
      const input = randn([rows, features]);
      const result = listening(hear, () => network.forward(input));
      expectTensor("network.forward()", result);
      const output = sourceOf(result);
      return { input, output, steps: between(input, output, heard).map(toStep) };
    }),
  );
}

/** The operations that follow from `input` and lead to `output`. */
function between(input: Tensor, output: Tensor, heard: readonly Heard[]): Heard[] {
  const after = new Set([input]);
  const following = heard.filter((step) => step.inputs.some((tensor) => after.has(tensor)) && after.add(step.output));
  const before = new Set([output]);
  const leading = following.reverse().filter((step) => {
    if (!before.has(step.output)) return false;
    for (const tensor of step.inputs) before.add(tensor);
    return true;
  });
  return leading.reverse();
}

function allInputs(inputs: readonly Tensor[], operation: Operation): readonly Tensor[] {
  if (operation.kind === "batchNorm") return [...inputs, operation.runningMean, operation.runningVar];
  const isNumber = operation.kind === "addNumber" || operation.kind === "mulNumber";
  return isNumber ? [...inputs, new Tensor(Float32Array.of(operation.number), [])] : inputs;
}

function toStep({ operation, ...rest }: Heard): Recorded {
  return { ...rest, operation: stepOperation(operation) };
}

function stepOperation(operation: Operation): StepOperation {
  switch (operation.kind) {
    case "addNumber":
      return { kind: "add" };
    case "mulNumber":
      return { kind: "mul" };
    case "batchNorm":
      if (operation.training) throw cannotExport("batchNorm with training: true mixes the rows of a batch");
      return { kind: "batchNorm", eps: operation.eps };
    case "dropout":
      throw cannotExport("dropout with training: true is random");
    case "slice":
      throw cannotExport("slice() takes rows out of the batch");
    case "expand":
    case "detach":
    case "denseBlock":
    case "loss":
      throw cannotExport(`it has no form for the operation "${operation.kind}"`);
    default:
      return operation;
  }
}

/** Why a network has no file of its own. */
export function cannotExport(reason: string): DistilleryError {
  return new DistilleryError("BAD_ARGUMENT", `network: expected one that ONNX can express; in forward(), ${reason}`);
}
