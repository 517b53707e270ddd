import { argumentError } from "../checks.js";
import { native } from "../native.js";
import { BatchNorm } from "../nn/batch_norm.js";
import type { Module } from "../nn/module.js";
import { allocate } from "../tensor/buffer_pool.js";
import type { LoweredNode } from "../tensor/op.js";
import { currentPrecision } from "../tensor/precision.js";
import { Generator } from "../tensor/random.js";
import { numel } from "../tensor/shape.js";
import { Tensor } from "../tensor/tensor.js";
import { fuse } from "./fuse.js";
import { type Constant, type Graph, type Length, lengthFor, type Node, type Value } from "./graph.js";
import { type TraceOptions, traceModule } from "./trace.js";

type Queue = ReturnType<typeof native.inferenceQueue>;

/**
 * A layer that normalises by the batch: the running statistics that each pass moves, and the layer that counts them.
 */
interface MovedStatistics {
  readonly mean: Float32Array;
  readonly variance: Float32Array;
  readonly layer: BatchNorm | null;
}

/** The outputs of a pass: the result of `forward`, and those of the tapped modules by their paths. */
interface FrozenOutputs {
  readonly output: Tensor;
  readonly taps: Readonly<Record<string, Tensor>>;
}

/**
 * A snapshot of a module in native memory. Its passes run in the background, and later changes of the module's weights
 * do not affect it. In train mode each pass draws its masks from the generator that it is given, in the same order as
 * the module's `forward`. The module's running statistics are updated when the pass's outputs are taken. Outputs equal
 * those of `forward` in `noGrad`, bit for bit. Weights of linear layers are packed once in bfloat16; in single
 * precision {@link FrozenModel.run} packs them for few rows, in addition to the weights themselves.
 *
 * @example
 * ```ts
 * const frozen = FrozenModel.from(teacher, [784], { training: false });
 * frozen.enqueue(inputs, currentGenerator());
 * const { output: logits } = frozen.take(inputs, currentGenerator());
 * ```
 */
export class FrozenModel {
  /** The precision of its linear layers: the one that was current when the snapshot was made. */
  readonly precision = currentPrecision();
  readonly #graph: Graph;
  readonly #outputs: readonly Value[];
  readonly #moved: readonly MovedStatistics[];
  readonly #queue: Queue;
  /** The generator for passes that run at once, so that the caller's is not moved. */
  readonly #scratchGenerator = new Generator();
  #inFlight = 0;

  private constructor(module: Module, graph: Graph) {
    this.#graph = graph;
    this.#outputs = [graph.output, ...Object.values(graph.taps)];
    this.#moved = graph.nodes.flatMap((node) => movedStatistics(node, module) ?? []);
    this.#queue = queueOf(graph);
  }

  /**
   * Makes a snapshot of a module for inputs [rows, ...sampleShape].
   *
   * @throws DistilleryError `BAD_ARGUMENT` if its forward can't be traced, has an operation that only runs in
   * TypeScript, or has side effects.
   */
  static from(module: Module, sampleShape: readonly number[], options: TraceOptions = {}): FrozenModel {
    return new FrozenModel(module, fuse(traceModule(module, sampleShape, options)));
  }

  /** How many passes are in flight. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** About how many bytes a pass of `rows` rows needs. */
  activationBytes(rows: number): number {
    const { input, nodes } = this.#graph;
    const sizeOf = ({ shape }: Value) => numel(lengthsOf(shape, rows));
    return Float32Array.BYTES_PER_ELEMENT * (sizeOf(input) + 3 * Math.max(0, ...nodes.map(sizeOf)));
  }

  /** Whether inputs have the shape that the module was traced with. */
  fits({ shape }: Tensor): boolean {
    const { shape: expected } = this.#graph.input;
    return shape.length === expected.length && expected.every((length, i) => i === 0 || length === shape[i]);
  }

  /** Starts a pass for inputs [rows, ...]; the generator moves past the pass's draws. */
  enqueue({ data, shape }: Tensor, { state }: Generator): void {
    native.inferenceEnqueue(this.#queue, data, shape[0], state);
    this.#inFlight += 1;
  }

  /**
   * The outputs for inputs [rows, ...]. They come from the oldest pass in flight if that was started with the same
   * inputs and, if it draws, with the generator in the same state. Otherwise all passes are discarded, and a new one
   * runs now. Statistics and generator are updated as by the module's `forward`.
   */
  take(inputs: Tensor, generator: Generator): FrozenOutputs {
    const { data, shape } = inputs;
    const rows = shape[0];
    const tensors = this.#outputs.map(({ shape }) => outputOf(shape, rows));
    const arrays = tensors.map(({ data }) => data);
    const take = () => native.inferenceTake(this.#queue, data, rows, generator.state, arrays);
    if (this.#inFlight === 0 || !take()) {
      this.#inFlight = 0;
      this.enqueue(inputs, this.#scratchGenerator.copyFrom(generator));
      take();
    }
    this.#inFlight -= 1;
    for (const [i, { mean, variance, layer }] of this.#moved.entries()) {
      native.inferenceMoveStatistics(this.#queue, i, mean, variance);
      layer?.countBatch();
    }
    const [output, ...rest] = tensors;
    return { output, taps: Object.fromEntries(Object.keys(this.#graph.taps).map((path, i) => [path, rest[i]])) };
  }

  /**
   * The result of `forward` for inputs [rows, ...] in eval mode, now and on all threads; passes in flight are
   * discarded.
   */
  run({ data, shape }: Tensor, { state }: Generator): Tensor {
    const tensors = this.#outputs.map((output) => outputOf(output.shape, shape[0]));
    this.#inFlight = 0;
    native.inferenceRun(
      this.#queue,
      data,
      shape[0],
      state,
      tensors.map(({ data }) => data),
    );
    return tensors[0];
  }

  /** Discards the passes in flight. */
  discard(): void {
    native.inferenceDiscard(this.#queue);
    this.#inFlight = 0;
  }

  /** Frees the native memory now instead of at a garbage collection; the snapshot can't be used afterwards. */
  release(): void {
    native.inferenceRelease(this.#queue);
    this.#inFlight = 0;
  }
}

function queueOf(graph: Graph): Queue {
  const builder = native.graphBuilder(graph.input.shape.map(nativeLength));
  const numbers = new Map<Value, number>([[graph.input, 0]]);
  const numberOf = (value: Value): number => {
    const known = numbers.get(value);
    if (known !== undefined) return known;
    const { data, shape } = value as Constant;
    const number = native.graphConstant(builder, data, [...shape]);
    numbers.set(value, number);
    return number;
  };
  for (const node of graph.nodes) {
    const { kind: op, ...attributes } = lowered(node);
    const shape = node.shape.map(nativeLength);
    numbers.set(node, native.graphNode(builder, { op, inputs: node.inputs.map(numberOf), shape, attributes }));
  }
  return native.inferenceQueue(builder, [graph.output, ...Object.values(graph.taps)].map(numberOf));
}

/** The native form of a node. */
function lowered({ op, attributes, inputs }: Node): LoweredNode {
  const shapes = inputs.map(({ shape }) => shape);
  const node = op.lower?.(attributes, shapes) ?? null;
  if (node !== null) return node;
  throw argumentError("network", `its operation ${op.name} has no native form`);
}

function movedStatistics({ inputs, attributes }: Node, module: Module): MovedStatistics | null {
  if (attributes.training !== true) return null;
  const [mean, variance] = inputs.slice(-2) as Constant[];
  const layers = module.modules().filter((one) => one instanceof BatchNorm);
  const layer = layers.find(({ runningMean }) => runningMean.data === mean.data) ?? null;
  return { mean: mean.data, variance: variance.data, layer };
}

function outputOf(shape: readonly Length[], rows: number): Tensor {
  const lengths = lengthsOf(shape, rows);
  return new Tensor(allocate(numel(lengths)), lengths);
}

function lengthsOf(shape: readonly Length[], rows: number): number[] {
  return shape.map((length) => lengthFor(length, rows));
}

/** A length as the native graph takes it: -n is n times the rows of the batch. */
function nativeLength(length: Length): number {
  if (length === null) throw argumentError("network", "a length follows the batch in another way");
  return typeof length === "number" ? length : -lengthFor(length, 1);
}
