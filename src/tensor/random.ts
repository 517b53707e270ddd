import {
  badArgument,
  expectDimensions,
  expectElements,
  expectFinite,
  expectInteger,
  expectNotAsync,
  expectNumber,
  expectOptions,
  MAX_LENGTH,
} from "../checks.js";
import { native } from "../native.js";
import { newElements } from "./element_limit.js";
import { IntTensor } from "./int_tensor.js";
import { noteRead } from "./reads.js";
import { numel } from "./shape.js";
import { Tensor } from "./tensor.js";

/** The seed that PyTorch starts from when nobody calls `manual_seed`. */
const DEFAULT_SEED = 67280421310721n;

/**
 * A stream of random numbers, PyTorch's CPU stream: the same seed gives the same numbers as `torch.Generator`.
 *
 * @example
 * ```ts
 * const generator = new Generator(42);
 * const same = withGenerator(generator, () => randn([3]));
 * ```
 */
export class Generator {
  /** The state, in 32-bit words: copy it to save the stream, set it to restore it. */
  readonly state = new Uint32Array(native.randomStateWords());

  constructor(seed: number | bigint = DEFAULT_SEED) {
    this.manualSeed(seed);
  }

  /** Starts the stream of a seed, a whole number of up to 64 bits, as `torch.Generator.manual_seed`. */
  manualSeed(seed: number | bigint): this {
    if (typeof seed !== "bigint" && !Number.isSafeInteger(seed)) {
      throw badArgument("seed", `a whole number${Number.isInteger(seed) ? " up to 2^53 - 1, or a BigInt" : ""}`, seed);
    }
    native.randomSeed(this.state, Number(BigInt.asUintN(32, BigInt(seed))));
    return this;
  }

  /** Continues the stream from another one's state. */
  copyFrom(other: Generator): this {
    expectGenerator("other", other);
    this.state.set(other.state);
    return this;
  }
}

function expectGenerator(name: string, value: unknown): void {
  if (!(value instanceof Generator)) throw badArgument(name, "a Generator", value);
}

/** A seed drawn from the current stream. `torch.empty((), dtype=torch.int64).random_()`. */
export function drawSeed(): bigint {
  const words = new Uint32Array(2);
  native.randomWords(drawing(), words);
  return BigInt.asUintN(63, (BigInt(words[0]) << 32n) | BigInt(words[1]));
}

let current = new Generator();

/** The generator that random functions draw from now. */
export function currentGenerator(): Generator {
  return current;
}

/**
 * Runs `body` with its random numbers drawn from `generator`. Runs that start in the same stream each draw from a copy
 * of it, and so draw the same numbers; the stream then continues where the last one to end left it. With a generator
 * each, they draw different numbers.
 *
 * @throws DistilleryError `BAD_ARGUMENT` if it is not a generator, if the body is not a function, or is an `async` one,
 * which would continue in the previous stream. A run takes its stream when it starts: `() => distill(...)` is fine.
 * @example
 * ```ts
 * const own = () => withGenerator(new Generator(1), () => distill({ teacher, student, data }));
 * await Promise.all([own(), trainTeacher({ model: network, data })]); // each draws from a stream of its own
 * ```
 */
export function withGenerator<T>(generator: Generator, body: () => T): T {
  expectGenerator("generator", generator);
  if (typeof body !== "function") throw badArgument("body", "a function", body);
  expectNotAsync("withGenerator", body);
  const before = current;
  current = generator;
  try {
    return body();
  } finally {
    current = before;
  }
}

/** The state of the current generator, for a draw. */
function drawing(): Uint32Array {
  noteRead(current);
  return current.state;
}

/**
 * Starts the stream of a seed. `torch.manual_seed`.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for anything but a whole number.
 * @example
 * ```ts
 * manualSeed(42);
 * randn([3]).toArray(); // as torch.manual_seed(42); torch.randn(3)
 * ```
 */
export function manualSeed(seed: number | bigint): Generator {
  return current.manualSeed(seed);
}

/**
 * Standard normals. `torch.randn`.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a shape that is none.
 * @example
 * ```ts
 * const weights = randn([256, 784], { requiresGrad: true });
 * ```
 */
export function randn(shape: readonly number[], options: { requiresGrad?: boolean } = {}): Tensor {
  expectOptions("randn", options, ["requiresGrad"]);
  const out = new Float32Array(newElements(shape));
  native.randomNormal(drawing(), out, 0, 1);
  return new Tensor(out, shape, options);
}

/** Fills an array with normals. `torch.Tensor.normal_`. @internal */
export function fillNormal(out: Float32Array, mean: number, std: number): void {
  native.randomNormal(drawing(), out, mean, std);
}

/**
 * Uniforms of [from, to). `torch.rand`, `Tensor.uniform_`.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a shape that is none, or a range whose end is below its start.
 * @example
 * ```ts
 * const noise = rand([2, 3], -0.1, 0.1);
 * ```
 */
export function rand(shape: readonly number[], from = 0, to = 1): Tensor {
  expectFinite("from", from);
  expectNumber("to", to, (x) => x >= from, `a number of at least the start (${from})`);
  const out = new Float32Array(newElements(shape));
  native.randomUniform(drawing(), out, from, to);
  return new Tensor(out, shape);
}

/**
 * Whole numbers of [low, high). `torch.randint`.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a shape that is none, or an empty range.
 * @example
 * ```ts
 * const labels = randint(0, 10, [64]);
 * ```
 */
export function randint(low: number, high: number, shape: readonly number[]): IntTensor {
  expectInteger("low", low, -(2 ** 31), 2 ** 31 - 1);
  expectInteger("high", high, low + 1, 2 ** 31 - 1);
  expectElements("shape", expectDimensions("shape", shape));
  const out = new Int32Array(numel(shape));
  native.randomIntegers(drawing(), out, low, high);
  return new IntTensor(out, shape);
}

/**
 * A random order of 0 to n - 1. `torch.randperm`.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for anything but a whole number from 0.
 * @example
 * ```ts
 * const order = randperm(data.length).data;
 * ```
 */
export function randperm(n: number): IntTensor {
  const out = new Int32Array(expectInteger("n", n, 0, MAX_LENGTH));
  native.randomPermutation(drawing(), out);
  return new IntTensor(out, [n]);
}
