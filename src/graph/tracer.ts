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

/** An operation as it was computed. */
export interface TracedOp {
  readonly op: AnyOp;
  readonly attributes: Attributes;
  readonly inputs: readonly Tensor[];
  readonly output: Tensor;
}

/** A forward pass: its input, its outputs and the operations between them, in their order. */
export interface Trace {
  readonly input: Tensor;
  readonly output: Tensor;
  readonly taps: Readonly<Record<string, Tensor>>;
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
  const sources = new Map<Tensor, Tensor>();
  const following = new Set<object>();
  let isRead = false;
  let isDrawn = false;
  const onRead = (read: object) => {
    if (following.has(read)) isRead = true;
    if (read instanceof Generator) isDrawn = true;
  };
  const sourceOf = (tensor: Tensor) => sources.get(tensor) ?? tensor;
  const onOp = (output: Tensor, inputs: readonly Tensor[], op: AnyOp, attributes: unknown) => {
    if (inputs.some((tensor) => following.has(tensor))) following.add(output);
    if (op.name === "detach") sources.set(output, sourceOf(inputs[0]));
    else traced.push({ op, attributes: (attributes ?? {}) as Attributes, inputs: inputs.map(sourceOf), output });
  };
  const tapped = new Taps(module, taps, "taps");
  const run = () => {
    const input = randn([rows, ...sampleShape]);
    following.add(input);
    const pass = () => withTracer(onOp, () => withReader(onRead, () => expectOutput("network", module.forward(input))));
    const { value, taps } = tapped.record(pass);
    const output = sourceOf(value);
    const sourceTaps = Object.fromEntries(Object.entries(taps).map(([path, tensor]) => [path, sourceOf(tensor)]));
    return {
      input,
      output,
      taps: sourceTaps,
      ops: between(input, [output, ...Object.values(sourceTaps)], traced),
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

/** Why the forward of a module can't be written down as a graph. */
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
function between(input: Tensor, outputs: readonly Tensor[], traced: readonly TracedOp[]): TracedOp[] {
  const after = new Set([input]);
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
