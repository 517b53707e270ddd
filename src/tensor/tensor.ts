import { types } from "node:util";
import { badArgument, badDtype, expectDimensions, expectFlags, expectOptions, expectShape } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { type Node, runBackward } from "./autograd.js";
import { runDeferred } from "./deferred.js";
import { newElements } from "./element_limit.js";
import { Gradient } from "./gradient.js";
import { asPrimitive, printTensor } from "./print.js";
import { noteRead } from "./reads.js";
import { expectOneElement, numel, toNested } from "./shape.js";

const NOTHING = new Float32Array(0);
const NO_ELEMENTS = [0];
/** The list that new tensors are added to; null if none is. */
let made: Tensor[] | null = null;

/** Runs `body` and adds the tensors that it makes to a list, if there is one. @internal */
export function collectTensors<T>(into: Tensor[] | null, body: () => T): T {
  const before = made;
  made = into;
  try {
    return body();
  } finally {
    made = before;
  }
}

/** Stands for the computation of a tensor that has ended. */
function readEnded(): never {
  throw ended("data: ", "to keep it, copy it there, as new Tensor(t.data.slice(), t.shape)");
}

function ended(place: string, advice: string): DistilleryError {
  return new DistilleryError("BAD_ARGUMENT", `${place}the tensor belongs to a step or a batch that ended: ${advice}`);
}

function readRequiresGrad(options: { requiresGrad?: boolean }): boolean {
  expectOptions("Tensor", options, ["requiresGrad"]);
  const { requiresGrad = false } = options;
  expectFlags({ requiresGrad });
  return requiresGrad;
}

/** Numbers nested in arrays of equal lengths. */
export type Nested = number | readonly Nested[];

/**
 * Single-precision floats with a shape, row by row, and the graph that computed them.
 *
 * Its operations are methods, defined in `src/ops`: they follow PyTorch's operations of the same names and are recorded
 * for {@link Tensor.backward} if an input requires a gradient. Memory is reused without a `dispose()`.
 *
 * @example
 * ```ts
 * const w = tensor([[1, 2], [3, 4]], { requiresGrad: true });
 * w.mul(w).sum().backward();
 * w.grad?.toArray(); // [[2, 4], [6, 8]]
 * ```
 */
export class Tensor {
  readonly dtype = "float32";
  readonly shape: readonly number[];
  /** The operation that made this tensor; null for a leaf. @internal */
  node: Node | null = null;
  /** Null until a deferred computation has run. Not a private name, since tests compare it as a property. */
  private values: Float32Array | null;
  /** Computes the values of a tensor of {@link Tensor.deferred}. */
  private compute: (() => Float32Array) | null = null;
  #requiresGrad: boolean;
  #version = 0;
  /** The leaf whose memory this one's is. */
  #base: Tensor | null = null;
  #gradient: Gradient | null = null;
  /** The last value of `grad`. */
  #grad: Tensor | null = null;
  #fusionStage: unknown = null;

  constructor(data: Float32Array, shape: readonly number[] = [data?.length], options?: { requiresGrad?: boolean }) {
    if (!types.isFloat32Array(data)) throw badDtype("data", "a Float32Array", data);
    const size = numel(expectDimensions("shape", shape));
    if (data.length !== size) expectShape("data", [data.length], [size]);
    this.values = data;
    this.shape = [...shape];
    this.#requiresGrad = options === undefined ? false : readRequiresGrad(options);
    made?.push(this);
  }

  /** A tensor whose values are computed when they are first read. @internal */
  static deferred(shape: readonly number[], compute: () => Float32Array): Tensor {
    const tensor = new Tensor(NOTHING, NO_ELEMENTS);
    (tensor as { shape: readonly number[] }).shape = shape;
    tensor.values = null;
    tensor.compute = compute;
    return tensor;
  }

  /** Whether operations on this tensor are recorded. A change does not affect earlier operations. */
  get requiresGrad(): boolean {
    return this.#requiresGrad;
  }

  set requiresGrad(value: boolean) {
    if (typeof value !== "boolean") throw badArgument("requiresGrad", "true or false", value);
    if (!value && this.node !== null)
      throw badArgument("requiresGrad", "true for what an operation made (use detach())", value);
    this.#requiresGrad = value;
  }

  /** The elements, row by row: the tensor's own memory, which may be a part of its `buffer`. */
  get data(): Float32Array {
    noteRead(this);
    runDeferred();
    if (this.values === null) this.settle((this.compute as () => Float32Array)());
    return this.values as Float32Array;
  }

  /** Makes it unreadable if its memory belongs to a step that has ended. @internal */
  end(memory: ReadonlySet<ArrayBufferLike>): void {
    // The result of an operation in memory of its own ends too, because its inputs have ended.
    if (this.node === null && this.values !== null && !memory.has(this.values.buffer)) return;
    this.values = null;
    this.node = null;
    this.compute = readEnded;
  }

  /** How often an optimizer, a state dict or an average has changed the values. @internal */
  get version(): number {
    return this.#base === null ? this.#version : this.#base.version;
  }

  /** Declares that the values were changed in place. @internal */
  noteChange(): void {
    if (this.#base === null) this.#version += 1;
    else this.#base.noteChange();
  }

  /**
   * Says that the values are memory of another tensor. Nothing changes those of what an operation made, whose graph is
   * not to be kept. @internal
   */
  shareVersion(source: Tensor): void {
    this.#base = source.#base ?? (source.node === null ? source : null);
  }

  /** Sets the values that were deferred. @internal */
  settle(values: Float32Array): void {
    this.values = values;
    this.compute = null;
  }

  /** State of the fusion of operations. @internal */
  get fusionStage(): unknown {
    return this.#fusionStage;
  }

  /** @internal */
  set fusionStage(stage: unknown) {
    this.#fusionStage = stage;
  }

  /** The number of elements. */
  get size(): number {
    return numel(this.shape);
  }

  /** The gradient that `backward()` accumulated, with this tensor's shape; null before that, and after `zeroGrad()`. */
  get grad(): Tensor | null {
    const data = this.gradient.handOut();
    if (data === null) return null;
    if (this.#grad?.data !== data) this.#grad = new Tensor(data, this.shape);
    return this.#grad;
  }

  set grad(grad: Tensor | null) {
    if (grad !== null) {
      expectTensor("grad", grad);
      expectShape("grad", grad.shape, this.shape);
    }
    // A gradient that is computed in a step outlives it.
    const isKept = grad !== null && made === null;
    this.#gradient = grad && new Gradient(this.shape, isKept ? grad.data : grad.data.slice(), isKept);
    this.#grad = isKept ? grad : null;
  }

  /** Discards the gradient; its memory is reused unless {@link Tensor.grad} handed it out. */
  zeroGrad(): void {
    this.#gradient?.zero();
    this.#grad = null;
  }

  /** The gradient, for the library's own use. @internal */
  get gradient(): Gradient {
    this.#gradient ??= new Gradient(this.shape);
    return this.#gradient;
  }

  /** Replaces the gradient by another one, and returns the old one. @internal */
  swapGradient(other: Gradient): Gradient {
    const { gradient } = this;
    this.#gradient = other;
    this.#grad = null;
    return gradient;
  }

  /** The only element of a tensor of one. */
  item(): number {
    expectOneElement(this.shape, this.size);
    return this.data[0];
  }

  /** The elements as nested arrays. */
  toArray(): unknown {
    return toNested(this.data, this.shape);
  }

  /** The values as PyTorch prints them, large tensors shortened, with shape and type. */
  toString(): string {
    try {
      return printTensor(this, this.data);
    } catch (error) {
      if (!(error instanceof DistilleryError)) throw error;
      return printTensor(this, null, "of a step that ended");
    }
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  [Symbol.toPrimitive](hint: string): string {
    return asPrimitive(this, hint);
  }

  /**
   * Adds the gradient of this scalar to the `grad` of every leaf that it was computed from. It uses up the graph: a
   * second pass through any part of it is an error, unless `retainGraph` keeps it. `torch.Tensor.backward`.
   *
   * @example
   * ```ts
   * kd.backward({ retainGraph: true }); // the gradient of each term apart, from one forward pass
   * const gradKd = student.parameters().map(({ grad }) => grad?.data.slice());
   * optimizer.zeroGrad();
   * task.backward();
   * ```
   */
  backward(options: { retainGraph?: boolean } = {}): void {
    if (options instanceof Tensor) throw badArgument("backward", "no gradient (multiply the loss first)", options);
    expectOptions("backward", options, ["retainGraph"]);
    const { retainGraph = false } = options;
    expectFlags({ retainGraph });
    if (this.compute === readEnded) throw ended("backward(): ", "call it inside of the step");
    runBackward(this, retainGraph);
  }
}

/**
 * A tensor that a module trains: it requires a gradient, and is in `parameters()` and the state dict.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH` if the shape has another number of elements.
 * @example
 * ```ts
 * class Scale extends Module {
 *   factor = new Parameter(Float32Array.of(1));
 *   forward(x: Tensor) {
 *     return x.mul(this.factor);
 *   }
 * }
 * new Scale().parameters().length; // 1
 * ```
 */
export class Parameter extends Tensor {
  constructor(data: Float32Array, shape: readonly number[] = [data?.length]) {
    super(data, shape, { requiresGrad: true });
  }
}

const MAX_DEPTH = 64;

/**
 * A tensor from nested arrays, or from a Float32Array (not copied) and a shape.
 *
 * @throws DistilleryError `BAD_DTYPE` for anything but numbers, `SHAPE_MISMATCH` for lists of different lengths, or
 * another number of values than the shape has.
 * @example
 * ```ts
 * tensor([[1, 2, 3], [4, 5, 6]]).shape; // [2, 3]
 * ```
 */
export function tensor(
  values: Nested | Float32Array,
  options: { shape?: readonly number[]; requiresGrad?: boolean } = {},
): Tensor {
  expectOptions("tensor", options, ["shape", "requiresGrad"]);
  const { requiresGrad = false } = options;
  if (types.isFloat32Array(values)) return new Tensor(values, options.shape ?? [values.length], { requiresGrad });
  const shape: number[] = [];
  for (let level: Nested | undefined = values; Array.isArray(level); level = level[0]) {
    // Deeper nesting, as in NumPy, means a list that contains itself.
    if (shape.length === MAX_DEPTH) throw badArgument("values", `at most ${MAX_DEPTH} axes`, values);
    shape.push(level.length);
  }
  const flat: number[] = [];
  flatten(values, shape, 0, flat);
  return new Tensor(Float32Array.from(flat), options.shape ?? shape, { requiresGrad });
}

/**
 * A tensor of zeros. `torch.zeros`.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a shape that is no list of whole numbers from 0.
 * @example
 * ```ts
 * zeros([2, 3]).toArray(); // [[0, 0, 0], [0, 0, 0]]
 * ```
 */
export function zeros(shape: readonly number[], options: { requiresGrad?: boolean } = {}): Tensor {
  expectOptions("zeros", options, ["requiresGrad"]);
  return new Tensor(new Float32Array(newElements(shape)), shape, options);
}

/**
 * A tensor of ones. `torch.ones`.
 *
 * @throws DistilleryError as {@link zeros}.
 * @example
 * ```ts
 * ones([3], { requiresGrad: true }).toArray(); // [1, 1, 1]
 * ```
 */
export function ones(shape: readonly number[], options: { requiresGrad?: boolean } = {}): Tensor {
  expectOptions("ones", options, ["requiresGrad"]);
  return new Tensor(new Float32Array(newElements(shape)).fill(1), shape, options);
}

/** Refuses what is not a tensor, naming the argument. */
export function expectTensor(name: string, value: unknown): asserts value is Tensor {
  if (value instanceof Tensor) return;
  const isWhole = typeof value === "object" && value !== null && "float" in value;
  throw badDtype(name, isWhole ? "a Tensor (float() makes one)" : "a Tensor", value);
}

function flatten(values: Nested, shape: readonly number[], depth: number, into: number[]): void {
  if (typeof values === "number" && depth === shape.length) {
    into.push(values);
    return;
  }
  if (!Array.isArray(values)) throw badDtype("values", "numbers nested in arrays", values);
  expectShape(`values at depth ${depth}`, [values.length], [shape[depth] ?? 0]);
  for (const value of values) flatten(value, shape, depth + 1, into);
}
