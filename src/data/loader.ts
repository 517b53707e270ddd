import { types } from "node:util";
import {
  argumentError,
  badArgument,
  badDtype,
  expectFlags,
  expectInteger,
  expectOneOf,
  expectOptions,
} from "../checks.js";
import { drawSeed, Generator, randperm, withGenerator } from "../tensor/random.js";
import { type Batch, chunkOf, type Dataset, expectDataset } from "./dataset.js";
import { takeBatch, takeSlice } from "./take_batch.js";

/** The options of {@link DataLoader}. */
export interface DataLoaderOptions {
  /** Samples a batch; default 64. */
  batchSize?: number;
  /** Whether each epoch has an order of its own; default false. */
  shuffle?: boolean;
  /** Whether a shorter last batch is left out; default false. */
  dropLast?: boolean;
  /**
   * What an epoch draws from the current random stream. `torch-dataloader`, the default with `shuffle`, draws what
   * PyTorch's `DataLoader` does: a base seed and, to shuffle, the seed of a separate generator, which gives the order.
   * `randperm`, the default otherwise, draws only the order, if `shuffle`, as a loop over `torch.randperm` does.
   */
  order?: "torch-dataloader" | "randperm";
}

const ORDERS = ["torch-dataloader", "randperm"] as const;

/**
 * Batches of a data set, epoch after epoch. `torch.utils.data.DataLoader`.
 *
 * With `shuffle`, each epoch draws a new order when it begins. After the same `manualSeed` it is the order of PyTorch's
 * `DataLoader(shuffle=True)`, and the stream continues as PyTorch's. PyTorch's loader draws a seed in each epoch even
 * if it does not shuffle; so does `order: "torch-dataloader"`. A data set that is read in chunks ({@link
 * Dataset.chunk}) is shuffled chunk by chunk: samples of different chunks do not mix.
 *
 * @throws DistilleryError `BAD_ARGUMENT`, also if an epoch would have no batch.
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
  readonly order: (typeof ORDERS)[number];
  /** The number of batches of an epoch. */
  readonly length: number;

  constructor(dataset: Dataset, options: DataLoaderOptions = {}) {
    expectOptions("DataLoader", options, ["batchSize", "shuffle", "dropLast", "order"]);
    const {
      batchSize = 64,
      shuffle = false,
      dropLast = false,
      order = shuffle ? "torch-dataloader" : "randperm",
    } = options;
    this.dataset = expectDataset(dataset);
    if (dataset.chunk !== undefined) expectInteger("dataset.chunk", dataset.chunk, 1);
    this.batchSize = expectInteger("batchSize", batchSize, 1);
    expectFlags({ shuffle, dropLast });
    this.shuffle = shuffle;
    this.dropLast = dropLast;
    this.order = expectOneOf("order", order, ORDERS);
    const batches = dataset.length / batchSize;
    this.length = dropLast ? Math.floor(batches) : Math.ceil(batches);
    if (this.length === 0) {
      const text = `at most the ${dataset.length} samples, as the last short batch is dropped`;
      throw badArgument("batchSize", text, batchSize);
    }
  }

  /** Begins an epoch. With `shuffle` its order is drawn now. */
  epoch(): EpochBatches {
    if (this.order === "randperm") return new EpochBatches(this, this.shuffle ? shuffled(this.dataset) : null);
    drawSeed(); // PyTorch's base seed, from which its workers have theirs.
    if (!this.shuffle) return new EpochBatches(this, null);
    const own = new Generator(drawSeed());
    return new EpochBatches(
      this,
      withGenerator(own, () => shuffled(this.dataset)),
    );
  }

  /** An epoch in a given order, such as one that an interrupted run had begun; null is the order of the data set. */
  epochFrom(order: Int32Array | null): EpochBatches {
    if (order === null && !this.shuffle) return new EpochBatches(this, null);
    return new EpochBatches(this, expectOrder(order, this.dataset.length).slice());
  }

  [Symbol.iterator](): Iterator<Batch> {
    return this.epoch()[Symbol.iterator]();
  }
}

/** The batches of one epoch, in a fixed order: any batch can be taken, also again. */
export class EpochBatches implements Iterable<Batch> {
  /** The number of batches. */
  readonly length: number;
  /** The indices of the samples in the order of this epoch; null: the data set's own order. */
  readonly order: Int32Array | null;
  readonly #dataset: Dataset;
  readonly #batchSize: number;

  constructor({ dataset, batchSize, length }: DataLoader, order: Int32Array | null) {
    this.length = length;
    this.order = order;
    this.#dataset = dataset;
    this.#batchSize = batchSize;
  }

  /** Batch `i` of 0 to `length - 1`. */
  batch(i: number): Batch {
    return this.#take(this.#rangeOf(i));
  }

  /** The number of samples in batch `i`. */
  samplesOf(i: number): number {
    const { start, end } = this.#rangeOf(i);
    return end - start;
  }

  /**
   * Shard `shard` of batch `i`. All shards have the same number of samples, but in a short batch the last ones have
   * fewer; null for a shard without samples.
   */
  shard(i: number, shard: number, shards: number): Batch | null {
    const { start, end } = this.#rangeOf(i);
    expectInteger("shards", shards, 1);
    expectInteger("shard", shard, 0, shards - 1);
    const size = Math.ceil(this.#batchSize / shards);
    const range = { start: start + shard * size, end: Math.min(end, start + (shard + 1) * size) };
    return range.start < range.end ? this.#take(range) : null;
  }

  #rangeOf(i: number): { start: number; end: number } {
    const start = expectInteger("i", i, 0, this.length - 1) * this.#batchSize;
    return { start, end: Math.min(start + this.#batchSize, this.#dataset.length) };
  }

  #take({ start, end }: { start: number; end: number }): Batch {
    if (this.order === null) return takeSlice(this.#dataset, start, end);
    return takeBatch(this.#dataset, this.order.slice(start, end));
  }

  *[Symbol.iterator](): Iterator<Batch> {
    for (let i = 0; i < this.length; i++) yield this.batch(i);
  }
}

function shuffled(dataset: Dataset): Int32Array {
  return dataset.chunk === undefined ? randperm(dataset.length).data : blockShuffle(dataset);
}

/**
 * A random order of a data set's samples that reads chunk after chunk: the chunks in the order of `randperm(chunks)`,
 * and inside each its samples in the order of `randperm(samples)`, drawn from the current stream when its turn comes.
 */
export function blockShuffle(dataset: Dataset): Int32Array {
  const { starts, samples } = byChunk(dataset);
  const order = new Int32Array(dataset.length);
  let at = 0;
  for (const chunk of randperm(starts.length - 1).data) {
    const start = starts[chunk];
    for (const i of randperm(starts[chunk + 1] - start).data) order[at++] = samples[start + i];
  }
  return order;
}

/** The samples chunk by chunk, ascending in each, and where each chunk starts and the last one ends. */
function byChunk(dataset: Dataset): { starts: Int32Array; samples: Int32Array } {
  const numbers = new Map<number, number>();
  const sizes: number[] = [];
  const chunks = new Int32Array(dataset.length);
  for (let i = 0; i < chunks.length; i++) {
    const chunk = chunkOf(dataset, i);
    const number = numbers.get(chunk) ?? sizes.push(0) - 1;
    numbers.set(chunk, number);
    sizes[number]++;
    chunks[i] = number;
  }
  const starts = new Int32Array(sizes.length + 1);
  for (const [number, size] of sizes.entries()) starts[number + 1] = starts[number] + size;
  const samples = new Int32Array(chunks.length);
  const next = starts.slice();
  for (let i = 0; i < chunks.length; i++) samples[next[chunks[i]]++] = i;
  return { starts, samples };
}

function expectOrder(order: Int32Array | null, length: number): Int32Array {
  if (!types.isInt32Array(order)) throw badDtype("order", "an Int32Array", order);
  if (order.length !== length) {
    throw argumentError("order", `expected ${length} indices, got ${order.length}`);
  }
  const used = new Uint8Array(length);
  for (let at = 0; at < length; at++) {
    const index = order[at];
    if (!(index >= 0 && index < length)) expectInteger(`order[${at}]`, index, 0, length - 1);
    if (used[index] === 1) {
      throw argumentError(`order[${at}]`, `expected each index once, got ${index} again`);
    }
    used[index] = 1;
  }
  return order;
}
