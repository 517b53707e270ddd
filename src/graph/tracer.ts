import { DistilleryError } from "../errors.js";
import { expectOutput } from "../nn/expect_output.js";
import { inputsFor } from "../nn/inputs_for.js";
import type { Module } from "../nn/module.js";
import { Taps } from "../nn/taps.js";
import { noGrad } from "../tensor/autograd.js";
import type { AnyOp } from "../tensor/op.js";
import { Generator, randn, withGenerator } from "../tensor/random.js";
import { withReader } from "../tensor/reads.js";
import type { Tensor } from "../tensor/tensor.js";
import { withTracer } from "../tensor/tracer.js";
import type { Attributes } from "./graph.js";

/** Stands for a tensor that depends on the input, so that the activations of a large batch are not kept. */
export class Following {
  constructor(readonly shape: readonly number[]) {}
}

/** A tensor of a trace. */
export type TracedValue = Tensor | Following;

/** An operation as it was computed. */
export interface TracedOp {
  readonly op: AnyOp;
  readonly attributes: Attributes;
  readonly inputs: readonly TracedValue[];
  readonly output: TracedValue;
}

/** A forward pass: its input, its outputs and the operations between them, in their order. */
export interface Trace {
  readonly input: TracedValue;
  readonly output: TracedValue;
  readonly taps: Readonly<Record<string, TracedValue>>;
  readonly ops: readonly TracedOp[];
  /** Whether the pass read values that follow from the input. */
  readonly isRead: boolean;
  /** Whether the pass drew random numbers outside of operations. */
  readonly isDrawn: boolean;
}

/**
 * Runs a module on `rows` random samples of a shape and records it. Buffers that the pass moves are set back; the
 * current random stream is left alone.
 */
export function trace(module: Module, sampleShape: readonly number[], rows: number, taps: readonly string[]): Trace {
  const traced: TracedOp[] = [];
  const values = new WeakMap<object, TracedValue>();
  let isRead = false;
  let isDrawn = false;
  const onRead = (read: object) => {
    if (values.get(read) instanceof Following) isRead = true;
    if (read instanceof Generator) isDrawn = true;
  };
  const tracedValue = (tensor: Tensor) => values.get(tensor) ?? tensor;
  const onOp = (output: Tensor, tensors: readonly Tensor[], op: AnyOp, attributes: unknown) => {
    const inputs = tensors.map(tracedValue);
    if (op.name === "detach") return void values.set(output, inputs[0]);
    if (inputs.some((input) => input instanceof Following)) values.set(output, new Following(output.shape));
    traced.push({ op, attributes: (attributes ?? {}) as Attributes, inputs, output: tracedValue(output) });
  };
  const tapped = new Taps(module, taps, "taps");
  const run = () => {
    const batch = randn([rows, ...sampleShape]);
    const input = new Following(batch.shape);
    values.set(batch, input);
    const pass = () => withTracer(onOp, () => withReader(onRead, () => expectOutput("network", module.forward(batch))));
    const { value, taps } = tapped.record(pass);
    const output = tracedValue(value);
    const tapValues = Object.fromEntries(Object.entries(taps).map(([path, tensor]) => [path, tracedValue(tensor)]));
    return {
      input,
      output,
      taps: tapValues,
      ops: between(input, [output, ...Object.values(tapValues)], traced),
      isRead,
      isDrawn,
    };
  };
  return keepingBuffers(module, () => withGenerator(new Generator(rows), () => noGrad(run)));
}

/**
 * Whether the forward pass of a module, in the modes that it is in, draws random numbers: yes, too, if it fails on
 * samples of this shape, so that the error comes from the step that meets it.
 */
export function drawsRandomNumbers(module: Module, sampleShape: readonly number[]): boolean {
  const generator = new Generator(0);
  const inputs = withGenerator(new Generator(1), () => randn([2, ...sampleShape]));
  const before = generator.state.slice();
  try {
    const run = () => noGrad(() => module.forward(inputsFor(module, inputs)));
    // As a trace: random numbers are no ids.
    const traced = () => (module.vocabulary === null ? run() : withTracer(() => {}, run));
    keepingBuffers(module, () => withGenerator(generator, traced));
  } catch {
    return true;
  }
  return before.some((word, i) => word !== generator.state[i]);
}

/** The error of a module whose forward can't be traced as a graph. */
export class UntraceableError extends DistilleryError {
  constructor(readonly reason: string) {
    super("BAD_ARGUMENT", `network: expected one that can be traced; in forward(), ${reason}`, { argument: "network" });
  }
}

/** Whether an operation draws random numbers or moves running statistics. */
function hasEffect({ op, attributes }: { op: AnyOp; attributes: Attributes }): boolean {
  return op.random === true || attributes.training === true;
}

/**
 * The operations that follow from `input` and lead to an output. One with an effect has to be among them: the graph
 * would do less than the module.
 */
function between(input: Following, outputs: readonly TracedValue[], traced: readonly TracedOp[]): TracedOp[] {
  const after = new Set<TracedValue>([input]);
  const following = traced.filter(({ inputs, output }) => inputs.some((x) => after.has(x)) && after.add(output));
  const before = new Set(outputs);
  const leading = following.reverse().filter(({ inputs, output }) => {
    if (!before.has(output)) return false;
    for (const tensor of inputs) before.add(tensor);
    return true;
  });
  const kept = new Set(leading);
  if (traced.some((op) => hasEffect(op) && !kept.has(op))) {
    throw new UntraceableError("a layer in train mode runs whose output does not lead to the result");
  }
  return leading.reverse();
}

/** Sets a module's buffers back after `body`. */
function keepingBuffers<T>(module: Module, body: () => T): T {
  const buffers = module.namedBuffers().map(([, { data }]) => [data, data.slice()] as const);
  try {
    return body();
  } finally {
    for (const [data, before] of buffers) (data as Float32Array).set(before as Float32Array);
  }
}
