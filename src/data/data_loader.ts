import { expectInteger, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { randperm } from "../tensor/random.js";
import { chunkedOrder } from "./chunked_order.js";
import type { Batch, Dataset } from "./dataset.js";
import { Epoch } from "./epoch.js";
import { expectDataset } from "./expect_dataset.js";

/** The options of {@link DataLoader}. */
export interface DataLoaderOptions {
  /** Examples a batch; default 64. */
  batchSize?: number;
  /** Whether each epoch has an order of its own; default false. */
  shuffle?: boolean;
  /** Whether a last, shorter batch is left out; default false. */
  dropLast?: boolean;
}

/**
 * Batches of a data set, epoch after epoch. `torch.utils.data.DataLoader`.
 *
 * Each epoch of a shuffling loader has the order `randperm(dataset.length)`, drawn from the current stream when the
 * epoch begins. (PyTorch's own RandomSampler draws a seed from the stream, and the order from that seed's.) Of a data
 * set that is read in chunks ({@link Dataset.chunk}) it is the chunks in a random order, and inside of each its rows in
 * one: rows of different chunks do not mix.
 *
 * Throws `BAD_ARGUMENT` where an epoch would have no batch.
 *
 * @example
 * ```ts
 * const loader = new DataLoader(train, { batchSize: 64, shuffle: true });
 * for (let epoch = 0; epoch < 12; epoch++)
 *   for (const { inputs, labels } of loader) crossEntropy(model.forward(inputs), labels).backward();
 * ```
 */
export class DataLoader implements Iterable<Batch> {
  readonly dataset: Dataset;
  readonly batchSize: number;
  readonly shuffle: boolean;
  readonly dropLast: boolean;
  /** The number of batches of an epoch. */
  readonly length: number;

  constructor(dataset: Dataset, options: DataLoaderOptions = {}) {
    const { batchSize = 64, shuffle = false, dropLast = false } = options;
    this.dataset = expectDataset(dataset);
    if (dataset.chunk !== undefined) expectInteger("dataset.chunk", dataset.chunk, 1);
    this.batchSize = expectInteger("batchSize", batchSize, 1);
    this.shuffle = expectBoolean("shuffle", shuffle);
    this.dropLast = expectBoolean("dropLast", dropLast);
    const batches = dataset.length / batchSize;
    this.length = dropLast ? Math.floor(batches) : Math.ceil(batches);
    if (this.length === 0) {
      const text = `batchSize: expected at most the ${dataset.length} examples where the last short batch is dropped`;
      throw new DistilleryError("BAD_ARGUMENT", `${text}, got ${batchSize}`);
    }
  }

  /** Begins an epoch: a shuffling loader draws its order now. */
  epoch(): Epoch {
    if (!this.shuffle) return new Epoch(this, null);
    const { length, chunk } = this.dataset;
    return new Epoch(this, chunk === undefined ? randperm(length).data : chunkedOrder(this.dataset));
  }

  /** An epoch in a given order, such as one that an interrupted run had begun; null is the order of the data set. */
  epochFrom(order: Int32Array | null): Epoch {
    if (order === null && !this.shuffle) return new Epoch(this, null);
    return new Epoch(this, expectOrder(order, this.dataset.length).slice());
  }

  [Symbol.iterator](): Iterator<Batch> {
    return this.epoch()[Symbol.iterator]();
  }
}

function expectBoolean(name: string, value: unknown): boolean {
  if (typeof value === "boolean") return value;
  throw new DistilleryError("BAD_ARGUMENT", `${name}: expected true or false, got ${show(value)}`);
}

function expectOrder(order: Int32Array | null, length: number): Int32Array {
  if (!(order instanceof Int32Array)) {
    throw new DistilleryError("BAD_DTYPE", `order: expected an Int32Array, got ${show(order)}`);
  }
  if (order.length !== length) {
    throw new DistilleryError("BAD_ARGUMENT", `order: expected ${length} indices, got ${order.length}`);
  }
  const used = new Uint8Array(length);
  for (const [at, index] of order.entries()) {
    expectInteger(`order[${at}]`, index, 0, length - 1);
    if (used[index] === 1) {
      throw new DistilleryError("BAD_ARGUMENT", `order[${at}]: expected each index once, got ${index} again`);
    }
    used[index] = 1;
  }
  return order;
}
