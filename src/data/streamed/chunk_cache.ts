import type { RowFiles } from "./row_files.js";

/** Chunks that stay in memory: those of a batch that goes over a border, and of a subset's neighbouring rows. */
const HELD = 4;

/** The rows of files by chunks, a few of which are in memory. */
export class ChunkCache {
  /** The chunks that are held by their numbers, the one that was used last at the end. */
  readonly #held = new Map<number, Uint8Array>();

  constructor(
    private readonly files: RowFiles,
    /** The rows of a chunk. */
    readonly rows: number,
  ) {}

  /** The bytes that are in memory. */
  get heldBytes(): number {
    return [...this.#held.values()].reduce((sum, { length }) => sum + length, 0);
  }

  /** The bytes of a chunk: valid until the next call. */
  get(chunk: number): Uint8Array {
    const bytes = this.#held.get(chunk) ?? this.#read(chunk);
    this.#held.delete(chunk);
    this.#held.set(chunk, bytes);
    return bytes;
  }

  #read(chunk: number): Uint8Array {
    const { length, stride } = this.files;
    const start = chunk * this.rows;
    const size = Math.min(this.rows, length - start) * stride;
    const bytes = this.#reuse(size) ?? new Uint8Array(size);
    this.files.read(start, bytes);
    return bytes;
  }

  /** The memory of the chunk that was not used for longest, where it has to go and is of this size. */
  #reuse(size: number): Uint8Array | null {
    const [oldest] = this.#held;
    if (oldest === undefined || this.#held.size < HELD) return null;
    this.#held.delete(oldest[0]);
    return oldest[1].length === size ? oldest[1] : null;
  }
}
