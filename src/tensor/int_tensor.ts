import { types } from "node:util";
import { badDtype, expectDimensions, expectShape } from "../checks.js";
import { asPrimitive, printTensor } from "./print.js";
import { expectOneElement, numel, sliceRange, toNested } from "./shape.js";
import { Tensor } from "./tensor.js";

/** What tensors of whole numbers have in common. */
abstract class WholeNumbers<A extends Int32Array | BigInt64Array> {
  abstract readonly dtype: string;
  readonly data: A;
  readonly shape: readonly number[];

  constructor(data: A, shape: readonly number[]) {
    expectShape("data", [data.length], [numel(expectDimensions("shape", shape))]);
    this.data = data;
    this.shape = [...shape];
  }

  /** The number of elements. */
  get size(): number {
    return this.data.length;
  }

  /** The only element of a tensor of one, as a number. */
  item(): number {
    expectOneElement(this.shape, this.size);
    return Number(this.data[0]);
  }

  /** The elements as nested arrays. */
  toArray(): unknown {
    return toNested(Array.from(this.data, Number), this.shape);
  }

  /** The values as PyTorch prints them, large tensors shortened, with shape and type. */
  toString(): string {
    return printTensor(this, this.data);
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  [Symbol.toPrimitive](hint: string): string {
    return asPrimitive(this, hint);
  }
}

/**
 * Whole numbers in 32 bits with a shape: labels, indices.
 *
 * @example
 * ```ts
 * const labels = new IntTensor(Int32Array.of(3, 1, 4), [3]);
 * labels.slice(0, 2).data; // Int32Array [3, 1]
 * ```
 */
export class IntTensor extends WholeNumbers<Int32Array> implements Iterable<number> {
  readonly dtype = "int32";

  constructor(data: Int32Array, shape: readonly number[] = [data?.length]) {
    if (!types.isInt32Array(data)) throw badDtype("data", "a Int32Array", data);
    super(data, shape);
  }

  /** Rows `start` to `end` (not included) of the first axis; shares memory. */
  slice(start: number, end: number = this.shape[0] ?? 0): IntTensor {
    const { from, to, width } = sliceRange(this.shape, start, end);
    return new IntTensor(this.data.subarray(from * width, to * width), [to - from, ...this.shape.slice(1)]);
  }

  /** The same numbers in single precision: a mask that can be multiplied with. `torch.Tensor.float`. */
  float(): Tensor {
    return new Tensor(Float32Array.from(this.data), this.shape);
  }

  [Symbol.iterator](): Iterator<number> {
    return this.data[Symbol.iterator]();
  }
}

/**
 * Whole numbers in 64 bits with a shape: counters such as BatchNorm's `num_batches_tracked`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH` if the shape has another number of elements.
 * @example
 * ```ts
 * new LongTensor(BigInt64Array.of(3n), []).shape; // []
 * ```
 */
export class LongTensor extends WholeNumbers<BigInt64Array> {
  readonly dtype = "int64";

  constructor(data: BigInt64Array, shape: readonly number[] = [data?.length]) {
    if (!types.isBigInt64Array(data)) throw badDtype("data", "a BigInt64Array", data);
    super(data, shape);
  }
}

/** The tensor of an array of elements. */
export function tensorOf(
  data: Float32Array | Int32Array | BigInt64Array,
  shape: readonly number[],
): Tensor | IntTensor | LongTensor {
  if (types.isFloat32Array(data)) return new Tensor(data, shape);
  return types.isInt32Array(data) ? new IntTensor(data, shape) : new LongTensor(data, shape);
}

/** Labels as they may be given: a tensor or a bare array of class numbers. */
export type Labels = IntTensor | Int32Array;

/** The class numbers of labels; `BAD_DTYPE` for anything else. */
export function labelData(labels: Labels): Int32Array {
  if (types.isInt32Array(labels)) return labels;
  if (labels instanceof IntTensor) return labels.data;
  throw badDtype("labels", "an IntTensor or Int32Array", labels);
}
