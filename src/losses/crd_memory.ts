import { types } from "node:util";
import {
  argumentError,
  badDtype,
  expectFractionBelow1,
  expectInteger,
  expectLength,
  expectShape,
  MAX_LENGTH,
  optionsOf,
} from "../checks.js";
import { DistilleryError } from "../errors.js";
import { Module } from "../nn/module.js";
import { rowOf } from "../slices.js";
import { IntTensor, LongTensor } from "../tensor/int_tensor.js";
import { Generator, rand, randint, withGenerator } from "../tensor/random.js";
import type { Tensor } from "../tensor/tensor.js";
import type { ShardedMemory } from "./loss.js";

/** What a {@link CrdMemory} is made for. */
export interface CrdMemoryOptions {
  /** The number of samples of the data set. */
  samples: number;
  /** The length of an embedding. Default 128. */
  dimension?: number;
  /** Negatives of each sample, at most `samples - 1`. Default 16384. */
  negatives?: number;
  /** The fraction of the old embedding that remains when a new one comes, in [0, 1). Default 0.5. */
  momentum?: number;
  /** The class of each sample: negatives are samples of other classes; default: any other sample. */
  labels?: Int32Array;
}

/** The distance between the seeds of a batch's parts. */
const SHARD_STEP = 0x9e3779b1n;

/** The defaults of the authors' code. */
export const CRD_MEMORY_DEFAULTS = { dimension: 128, negatives: 16384, momentum: 0.5 } as const;

/**
 * The embeddings of all samples by index, the student's and the teacher's, which {@link crdLoss} compares with. They
 * are initialised at random from the current stream. The negatives of a batch follow from a seed drawn then and the
 * number of batches so far. All of this is stored in buffers, and so in the state dict: a resumed run has the same
 * bits.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for options that are unknown or out of range.
 * @example
 * ```ts
 * const memory = new CrdMemory({ samples: train.length, labels: labelsOf(train), negatives: 256 });
 * ```
 */
export class CrdMemory extends Module implements ShardedMemory {
  /** [samples, dimension] */
  readonly student: Tensor;
  /** [samples, dimension] */
  readonly teacher: Tensor;
  /** The normalizers of the student's and the teacher's exponentials, set by the first batch; 0 before. [2] */
  readonly normalizers: Tensor;
  readonly negatives: number;
  readonly momentum: number;
  readonly #seed: LongTensor;
  readonly #batches: LongTensor;
  readonly #classes: Classes;
  /** The part of a batch that is being computed, and where its new embeddings wait; null: a whole batch. */
  #shard: { readonly number: number; readonly rows: Float64Array[] } | null = null;

  constructor(options: CrdMemoryOptions) {
    super();
    const all = optionsOf("CrdMemory", CRD_MEMORY_DEFAULTS, options, ["samples", "labels"]);
    const { samples, dimension, negatives, momentum, labels } = all;
    expectInteger("samples", samples, 2, MAX_LENGTH);
    expectLength("dimension", dimension);
    expectInteger("negatives", negatives, 1);
    expectFractionBelow1("momentum", momentum);
    if (labels !== undefined) expectClasses(labels, samples);
    this.negatives = Math.min(negatives, samples - 1);
    this.momentum = momentum;
    this.#classes = new Classes(labels ?? Int32Array.from({ length: samples }, (_, i) => i));
    const bound = 1 / Math.sqrt(dimension / 3);
    this.student = this.registerBuffer("student", rand([samples, dimension], -bound, bound));
    this.teacher = this.registerBuffer("teacher", rand([samples, dimension], -bound, bound));
    this.normalizers = this.registerBuffer("normalizers", rand([2], 0, 1));
    this.normalizers.data.fill(0);
    const seed = BigInt(randint(0, 2 ** 31 - 1, [1]).item());
    this.#seed = this.registerBuffer("seed", new LongTensor(BigInt64Array.of(seed), []));
    this.#batches = this.registerBuffer("batches", new LongTensor(new BigInt64Array(1), []));
  }

  override forward(x: Tensor): Tensor {
    return x;
  }

  /** The index of each sample followed by its negatives, for the next batch [n, 1 + negatives]. */
  contrast(indices: Int32Array): IntTensor {
    this.#expectSamples(indices);
    const salt = SHARD_STEP * BigInt(this.#shard?.number ?? 0);
    const generator = new Generator(this.#seed.data[0] + this.#batches.data[0] + salt);
    this.#batches.data[0] += 1n;
    const width = 1 + this.negatives;
    const { data } = withGenerator(generator, () => randint(0, 2 ** 31 - 1, [indices.length, width]));
    for (const [row, index] of indices.entries()) {
      data[row * width] = index;
      for (let at = row * width + 1; at < (row + 1) * width; at++) data[at] = this.#classes.other(index, data[at]);
    }
    return new IntTensor(data, [indices.length, width]);
  }

  get banks(): readonly Tensor[] {
    return [this.student, this.teacher];
  }

  /** Whether new embeddings wait for the other parts of the batch. @internal */
  get isShard(): boolean {
    return this.#shard !== null;
  }

  /**
   * As in {@link ShardedMemory}: each shard has its own negatives; a row has a sample's index and its new embeddings,
   * the student's and the teacher's.
   */
  asShard<T>(number: number, rows: Float64Array[], body: () => T): T {
    this.#shard = { number, rows };
    try {
      return body();
    } finally {
      this.#shard = null;
    }
  }

  takeRows(rows: readonly Float64Array[]): void {
    const dimension = this.student.shape[1];
    for (const [i, row] of rows.entries()) expectShape(`rows[${i}]`, [row.length], [1 + 2 * dimension]);
    for (const [index, ...values] of rows) {
      const [student, teacher] = [values.slice(0, dimension), values.slice(dimension)];
      this.update(Int32Array.of(index), Float32Array.from(student), Float32Array.from(teacher));
    }
  }

  /** Moves the embeddings of samples towards new ones [n, dimension], and scales them to length 1 again. */
  update(indices: Int32Array, student: Float32Array, teacher: Float32Array): void {
    const dimension = this.student.shape[1];
    this.#expectSamples(indices);
    for (const [name, values] of Object.entries({ student, teacher })) {
      if (!types.isFloat32Array(values)) throw badDtype(name, "a Float32Array", values);
      expectShape(name, [values.length], [indices.length * dimension]);
    }
    if (this.#shard !== null) {
      const of = (values: Float32Array, row: number) => rowOf(values, row, dimension);
      for (const [row, index] of indices.entries())
        this.#shard.rows.push(Float64Array.of(index, ...of(student, row), ...of(teacher, row)));
      return;
    }
    for (const [bank, fresh] of [[this.student.data, student] as const, [this.teacher.data, teacher] as const]) {
      for (const [row, index] of indices.entries()) {
        const old = rowOf(bank, index, dimension);
        let squares = 0;
        for (let i = 0; i < dimension; i++) {
          old[i] = this.momentum * old[i] + (1 - this.momentum) * fresh[row * dimension + i];
          squares += old[i] ** 2;
        }
        // Opposite embeddings of equal length leave no direction.
        const length = Math.sqrt(squares) || 1;
        for (let i = 0; i < dimension; i++) old[i] /= length;
      }
    }
  }

  #expectSamples(indices: Int32Array): void {
    if (!types.isInt32Array(indices)) throw badDtype("indices", "an Int32Array", indices);
    const samples = this.student.shape[0];
    const wrong = indices.find((index) => index < 0 || index >= samples);
    if (wrong === undefined) return;
    throw argumentError("CrdMemory", `indices: expected samples from 0 to ${samples - 1}, got ${wrong}`);
  }
}

function expectClasses(labels: Int32Array, samples: number): void {
  if (!types.isInt32Array(labels)) throw badDtype("labels", "an Int32Array", labels);
  expectShape("labels", [labels.length], [samples]);
  const wrong = labels.findIndex((label) => label < 0);
  if (wrong < 0) return;
  const text = `labels[${wrong}]: expected a class of at least 0, got ${labels[wrong]}`;
  throw new DistilleryError("LABEL_OUT_OF_RANGE", text);
}

/** The samples of other classes, by number. */
class Classes {
  readonly #order: Int32Array;
  readonly #start: Int32Array;
  readonly #count: Int32Array;

  constructor(private readonly labels: Int32Array) {
    this.#order = Int32Array.from(labels.keys()).sort((a, b) => labels[a] - labels[b] || a - b);
    const classes = labels.reduce((most, label) => Math.max(most, label + 1), 0);
    this.#count = new Int32Array(classes);
    for (const label of labels) this.#count[label] += 1;
    this.#start = new Int32Array(classes);
    for (let c = 1; c < classes; c++) this.#start[c] = this.#start[c - 1] + this.#count[c - 1];
  }

  /**
   * A sample of another class than that of `index`, selected by a number; if there is only one class, another sample.
   */
  other(index: number, number: number): number {
    const label = this.labels[index];
    const [start, count] = [this.#start[label], this.#count[label]];
    const others = this.labels.length - count;
    if (others === 0) return (index + 1 + (number % (count - 1))) % count;
    const at = number % others;
    return this.#order[at < start ? at : at + count];
  }
}
