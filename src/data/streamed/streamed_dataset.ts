import { createHash } from "node:crypto";
import { native } from "../../native.js";
import { allocate, allocateBytes } from "../../tensor/buffer_pool.js";
import { IntTensor } from "../../tensor/int_tensor.js";
import { Tensor } from "../../tensor/tensor.js";
import type { Batch, Dataset, ImageLayout } from "../dataset.js";
import { expectIndices, expectRange, indexRange } from "../dataset.js";
import { bytesOf } from "../tensor_dataset.js";
import { ChunkCache } from "./chunk_cache.js";
import type { RowFormat } from "./stream_formats.js";

/** What is settled of the files when they are opened. */
export interface StreamedParts {
  readonly format: RowFormat;
  readonly name: string;
  readonly labels: Int32Array;
  readonly classes: number;
  readonly classNames: readonly string[] | undefined;
  /** By channel; null where the values are taken as they are. */
  readonly mean: readonly number[] | null;
  readonly std: readonly number[] | null;
  /** Rows that are read at once. */
  readonly chunk: number;
  /** SHA-256 in hex over the rows. */
  readonly sha256: string;
}

/** Examples that stay on the disk but for a few chunks of them: {@link openStreamed} makes one. */
export class StreamedDataset implements Dataset {
  readonly name: string;
  readonly length: number;
  readonly features: number;
  readonly shape: readonly number[];
  readonly replayable = true;
  readonly classes: number;
  readonly classNames?: readonly string[];
  readonly image?: ImageLayout;
  /** Rows that are read at once. */
  readonly chunk: number;
  /** [length]; these are in memory. */
  readonly labels: IntTensor;
  readonly #format: RowFormat;
  readonly #chunks: ChunkCache;
  readonly #mean: Float32Array;
  readonly #std: Float32Array;
  readonly #sha256: string;

  /** @internal */
  constructor({ format, name, labels, classes, classNames, mean, std, chunk, sha256 }: StreamedParts) {
    this.name = name;
    this.length = format.files.length;
    this.features = format.features;
    const { image } = format;
    this.shape = image === null ? [format.features] : [image.channels, image.height, image.width];
    this.classes = classes;
    this.classNames = classNames;
    if (format.image !== null && mean !== null && std !== null) this.image = { ...format.image, mean, std };
    this.chunk = chunk;
    this.labels = new IntTensor(labels);
    this.#format = format;
    this.#chunks = new ChunkCache(format.files, chunk);
    this.#mean = Float32Array.from(mean ?? []);
    this.#std = Float32Array.from(std ?? []);
    this.#sha256 = sha256;
  }

  /** The bytes of chunks that are in memory now: those of four chunks at most. */
  get heldBytes(): number {
    return this.#chunks.heldBytes;
  }

  batch(indices: Int32Array): Batch {
    expectIndices(indices, this.length);
    const { features } = this;
    const inputs = new Tensor(allocate(indices.length * features), [indices.length, features]);
    if (this.#format.type === "f4") this.#copyRows(indices, bytesOf(inputs.data), 4 * features);
    else {
      const pixels = allocateBytes(indices.length * features);
      this.#copyRows(indices, pixels, features);
      const all = indexRange(0, indices.length);
      native.gatherBytes(pixels, all, inputs.data, indices.length, features, this.#mean, this.#std);
    }
    const labels = indices.map((index) => this.labels.data[index] as number);
    return { inputs, labels: new IntTensor(labels), indices };
  }

  slice(start: number, end: number): Batch {
    expectRange(start, end, this.length);
    return this.batch(indexRange(start, end));
  }

  fingerprint(): string {
    const kind = `${this.#format.type}, mean ${this.#mean}, std ${this.#std}`;
    const text = `${kind} [${this.length}, ${this.features}], in chunks of ${this.chunk}\n${this.#sha256}\n`;
    return createHash("sha256").update(text).update(bytesOf(this.labels.data)).digest("hex");
  }

  /** Copies the values of rows, `width` bytes each; a chunk is read once, whatever the order of the indices. */
  #copyRows(indices: Int32Array, into: Uint8Array, width: number): void {
    const { files, skip } = this.#format;
    const chunks = indices.map((index) => Math.floor(index / this.chunk));
    for (const chunk of new Set(chunks)) {
      const bytes = this.#chunks.get(chunk);
      for (let i = 0; i < chunks.length; i++) {
        if (chunks[i] !== chunk) continue;
        const at = ((indices[i] as number) - chunk * this.chunk) * files.stride + skip;
        into.set(bytes.subarray(at, at + width), i * width);
      }
    }
  }
}
