import { createHash } from "node:crypto";
import { native } from "../native.js";
import { allocate, allocateBytes } from "../tensor/buffer_pool.js";
import { IntTensor } from "../tensor/int_tensor.js";
import { Tensor } from "../tensor/tensor.js";
import type { Batch, Dataset, ImageLayout, TableLayout, ValueLayout } from "./dataset.js";
import { featuresOf, newRows, type RowData, type RowSource } from "./row_source.js";
import { expectIndices, expectRange, indexRange } from "./take_batch.js";
import type { TaskName } from "./task_name.js";
import { gatherTargets, layoutText, targetsText } from "./tensor_dataset.js";

/** What is found when the files are opened. */
interface StreamedParts {
  /** Bytes or floats. */
  readonly rows: RowSource;
  readonly name: string;
  readonly labels: Int32Array;
  /** [rows, classes], of another task than classification. */
  readonly targets: Tensor | undefined;
  readonly task?: TaskName;
  readonly targetScale?: ValueLayout;
  readonly classes: number;
  readonly classNames: readonly string[] | undefined;
  /** For bytes: the mean and deviation of each channel. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** Whether the shape of the bytes is that of images. */
  readonly isImage: boolean;
  /** Of image files: whether they are turned as their EXIF orientation says. */
  readonly upright: boolean | undefined;
  readonly table: TableLayout | undefined;
  readonly values: ValueLayout | undefined;
  /** Samples that are read at once. */
  readonly chunk: number;
  /** SHA-256 in hex over the rows. */
  readonly sha256: string;
}

/**
 * Samples that stay on the disk, but for a few chunks of them: `loadData` with `stream` and `openStreamed` make one.
 */
export class StreamedDataset implements Dataset {
  readonly name: string;
  readonly length: number;
  readonly features: number;
  readonly shape: readonly number[];
  readonly classes: number;
  readonly classNames?: readonly string[];
  readonly image?: ImageLayout;
  readonly table?: TableLayout;
  readonly values?: ValueLayout;
  readonly task?: TaskName;
  readonly targetScale?: ValueLayout;
  readonly replayable = true;
  /** Samples that are read at once. */
  readonly chunk: number;
  /** If the values are ids of texts: a hash of these. @internal */
  readonly textsHash?: string;
  /** [length]; these are in memory. */
  readonly labels: IntTensor;
  readonly #targets: Tensor | undefined;
  readonly #rows: RowSource;
  readonly #chunks: ChunkCache;
  readonly #mean: Float32Array;
  readonly #std: Float32Array;
  readonly #sha256: string;

  /** @internal */
  constructor({ rows, labels, isImage, upright, mean, std, ...parts }: StreamedParts) {
    const [channels, height, width] = rows.shape;
    this.name = parts.name;
    this.length = rows.length;
    this.features = featuresOf(rows);
    this.shape = isImage ? rows.shape : [this.features];
    this.classes = parts.classes;
    this.classNames = parts.classNames;
    const turned = upright !== undefined && { upright };
    if (isImage) this.image = { channels, height, width, ...turned, mean, std };
    if (parts.table !== undefined) this.table = parts.table;
    if (parts.values !== undefined) this.values = parts.values;
    if (parts.task !== undefined) this.task = parts.task;
    if (parts.targetScale !== undefined) this.targetScale = parts.targetScale;
    this.#targets = parts.targets;
    this.chunk = parts.chunk;
    this.labels = new IntTensor(labels);
    this.#rows = rows;
    this.#chunks = new ChunkCache(rows, parts.chunk);
    this.#mean = Float32Array.from(mean);
    this.#std = Float32Array.from(std);
    this.#sha256 = parts.sha256;
  }

  /** The bytes of chunks that are in memory now: those of at most four chunks. */
  get heldBytes(): number {
    return this.#chunks.heldBytes;
  }

  batch(indices: Int32Array): Batch {
    expectIndices(indices, this.length);
    const { features } = this;
    const inputs = new Tensor(allocate(indices.length * features), [indices.length, ...this.shape]);
    if (this.#rows.dtype === "float32") this.#copyRows(indices, inputs.data);
    else {
      const pixels = allocateBytes(indices.length * features);
      this.#copyRows(indices, pixels);
      const all = indexRange(0, indices.length);
      native.gatherBytes(pixels, all, inputs.data, indices.length, features, this.#mean, this.#std);
    }
    const labels = indices.map((index) => this.labels.data[index]);
    const targets = this.#targets && { targets: gatherTargets(this.#targets, indices) };
    return { inputs, labels: new IntTensor(labels), ...targets, indices };
  }

  slice(start: number, end: number): Batch {
    expectRange(start, end, this.length);
    return this.batch(indexRange(start, end));
  }

  fingerprint(): string {
    const kind = `${this.#rows.dtype}, mean ${this.#mean}, std ${this.#std}${layoutText(this)}`;
    const text = `${kind} [${this.length}, ${this.features}], in chunks of ${this.chunk}\n${this.#sha256}\n`;
    const hash = createHash("sha256").update(text).update(this.labels.data);
    if (this.#targets !== undefined) hash.update(targetsText(this)).update(this.#targets.data);
    return hash.digest("hex");
  }

  /** Copies the rows with these indices; a chunk is read once, whatever their order. */
  #copyRows(indices: Int32Array, into: RowData): void {
    const { features } = this;
    const chunks = indices.map((index) => Math.floor(index / this.chunk));
    for (const chunk of new Set(chunks)) {
      const rows = this.#chunks.get(chunk);
      for (let i = 0; i < chunks.length; i++) {
        if (chunks[i] !== chunk) continue;
        const at = (indices[i] - chunk * this.chunk) * features;
        into.set(rows.subarray(at, at + features), i * features);
      }
    }
  }
}

/** Chunks that stay in memory: those of a batch that crosses a border, and of a subset's neighbouring rows. */
const HELD = 4;

/** Rows by chunks, a few of which are in memory. */
class ChunkCache {
  /** The chunks that are held by their numbers, the one that was used last at the end. */
  readonly #held = new Map<number, RowData>();

  constructor(
    private readonly rows: RowSource,
    /** The rows of a chunk. */
    private readonly size: number,
  ) {}

  get heldBytes(): number {
    return [...this.#held.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** The rows of a chunk: valid until the next call. */
  get(chunk: number): RowData {
    const rows = this.#held.get(chunk) ?? this.#read(chunk);
    this.#held.delete(chunk);
    this.#held.set(chunk, rows);
    return rows;
  }

  #read(chunk: number): RowData {
    const start = chunk * this.size;
    const end = Math.min(start + this.size, this.rows.length);
    return this.rows.read(
      start,
      end,
      this.#reuse((end - start) * featuresOf(this.rows)) ?? newRows(this.rows, end - start),
    );
  }

  /**
   * Evicts the least recently used chunk if the cache is full; returns its memory if it has this size, otherwise null.
   */
  #reuse(size: number): RowData | null {
    const [oldest] = this.#held;
    if (oldest === undefined || this.#held.size < HELD) return null;
    this.#held.delete(oldest[0]);
    return oldest[1].length === size ? oldest[1] : null;
  }
}
