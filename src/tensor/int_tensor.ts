import { expectDimensions, expectInteger, expectShape, show } from "../checks.js";
import { DistilleryError } from "../errors.js";

/**
 * Whole numbers in 32 bits with a shape: labels, indices.
 *
 * @example
 * ```ts
 * const labels = new IntTensor(Int32Array.of(3, 1, 4), [3]);
 * labels.slice(0, 2).data; // Int32Array [3, 1]
 * ```
 */
export class IntTensor implements Iterable<number> {
  readonly dtype = "int32";
  readonly data: Int32Array;
  readonly shape: readonly number[];

  constructor(data: Int32Array, shape: readonly number[] = [data.length]) {
    if (!(data instanceof Int32Array)) throw wrongData("Int32Array", data);
    expectShape("data", [data.length], [sizeOf(expectDimensions("shape", shape))]);
    this.data = data;
    this.shape = [...shape];
  }

  /** The number of elements. */
  get size(): number {
    return this.data.length;
  }

  /** Rows `start` to `end` (not included) of the first axis; shares memory. */
  slice(start: number, end: number = this.shape[0] ?? 0): IntTensor {
    const { from, to, width } = rowRange(this.shape, start, end);
    return new IntTensor(this.data.subarray(from * width, to * width), [to - from, ...this.shape.slice(1)]);
  }

  /** The only element of a tensor of one. */
  item(): number {
    expectShape("item()", [this.size], [1]);
    return this.data[0] as number;
  }

  /** The elements as nested arrays. */
  toArray(): unknown {
    return nest(this.data, this.shape);
  }

  [Symbol.iterator](): Iterator<number> {
    return this.data[Symbol.iterator]();
  }
}

/** Whole numbers in 64 bits with a shape: counters such as BatchNorm's `num_batches_tracked`. */
export class LongTensor {
  readonly dtype = "int64";
  readonly data: BigInt64Array;
  readonly shape: readonly number[];

  constructor(data: BigInt64Array, shape: readonly number[] = [data.length]) {
    if (!(data instanceof BigInt64Array)) throw wrongData("BigInt64Array", data);
    expectShape("data", [data.length], [sizeOf(expectDimensions("shape", shape))]);
    this.data = data;
    this.shape = [...shape];
  }

  /** The number of elements. */
  get size(): number {
    return this.data.length;
  }

  /** The only element of a tensor of one, as a number. */
  item(): number {
    expectShape("item()", [this.size], [1]);
    return Number(this.data[0]);
  }

  /** The elements as nested arrays. */
  toArray(): unknown {
    return nest(Array.from(this.data, Number), this.shape);
  }
}

/** Labels as they may be given: a tensor or a bare array of class numbers. */
export type Labels = IntTensor | Int32Array;

/** The class numbers of labels; `BAD_DTYPE` for anything else. */
export function labelData(labels: Labels): Int32Array {
  if (labels instanceof Int32Array) return labels;
  if (labels instanceof IntTensor) return labels.data;
  throw new DistilleryError("BAD_DTYPE", `labels: expected an IntTensor or Int32Array, got ${show(labels)}`);
}

/** The number of elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** A row range as `Array.prototype.slice` reads it: negative counts from the end, and it is cut to what there is. */
export function rowRange(shape: readonly number[], start: number, end: number) {
  const rows = shape[0];
  if (rows === undefined) throw new DistilleryError("SHAPE_MISMATCH", "slice(): expected at least one axis, got []");
  const cut = (at: number) => Math.min(Math.max(at < 0 ? at + rows : at, 0), rows);
  const from = cut(expectInteger("start", start, Number.MIN_SAFE_INTEGER));
  const to = Math.max(from, cut(expectInteger("end", end, Number.MIN_SAFE_INTEGER)));
  return { from, to, width: sizeOf(shape.slice(1)) };
}

/** Flat elements as nested arrays of a shape. */
export function nest(data: ArrayLike<number>, shape: readonly number[]): unknown {
  if (shape.length === 0) return data[0];
  const build = (axis: number, offset: number): unknown => {
    const [length, width] = [shape[axis] as number, sizeOf(shape.slice(axis + 1))];
    return Array.from({ length }, (_, i) =>
      axis === shape.length - 1 ? data[offset + i] : build(axis + 1, offset + i * width),
    );
  };
  return build(0, 0);
}

function wrongData(expected: string, got: unknown): DistilleryError {
  return new DistilleryError("BAD_DTYPE", `data: expected a ${expected}, got ${show(got)}`);
}
