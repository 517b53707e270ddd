import { expectInteger } from "../checks.js";
import type { Batch, Dataset } from "./dataset.js";

interface Batching {
  readonly dataset: Dataset;
  readonly batchSize: number;
  readonly length: number;
}

/** One pass over a data set, in an order that stays: batches can be taken again, and from the middle. */
export class Epoch implements Iterable<Batch> {
  /** The number of batches. */
  readonly length: number;
  /** The indices of the examples in the order of this epoch; null: the data set's own order. */
  readonly order: Int32Array | null;
  readonly #dataset: Dataset;
  readonly #batchSize: number;

  constructor({ dataset, batchSize, length }: Batching, order: Int32Array | null) {
    this.length = length;
    this.order = order;
    this.#dataset = dataset;
    this.#batchSize = batchSize;
  }

  /** Batch `i` of 0 to `length - 1`. */
  batch(i: number): Batch {
    const start = expectInteger("i", i, 0, this.length - 1) * this.#batchSize;
    const end = Math.min(start + this.#batchSize, this.#dataset.length);
    return this.order === null ? this.#dataset.slice(start, end) : this.#dataset.batch(this.order.slice(start, end));
  }

  *[Symbol.iterator](): Iterator<Batch> {
    for (let i = 0; i < this.length; i++) yield this.batch(i);
  }
}
