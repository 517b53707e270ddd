import { open } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { DistilleryError } from "../errors.js";
import { bytesOf, ioError, kindOf, makeFolder, openSliced, readSlice } from "../files/index.js";
import { native } from "../native.js";
import { rowOf } from "../slices.js";

/** What answers belong to. */
interface StoredOf {
  /** A hash of the teacher and the data; each has its own file. */
  readonly key: string;
  readonly samples: number;
  readonly classes: number;
}

/** The index and the checksum before the logits of a record. */
const RECORD_HEAD = 8;
/** Records that are read at once. */
const READ = 2 ** 20;

/**
 * A teacher's logits by the index of their sample. In a folder, each answer is on disk before the next step: a file of
 * records (index, CRC-32, logits) to which new ones are appended. An incomplete record that a killed process left at
 * the end does not count. The file is created with the first answer, and belongs to one process at a time.
 */
export class LogitsStore {
  readonly #values: Float32Array;
  readonly #known: Uint8Array;
  #count = 0;
  #written: Promise<void> = Promise.resolve();
  #lock: { release(): void } | null = null;
  #isClosed = false;

  private constructor(
    private readonly of: StoredOf,
    private readonly folder: string | null,
  ) {
    this.#values = new Float32Array(of.samples * of.classes);
    this.#known = new Uint8Array(of.samples);
  }

  /** The store in a folder, or for null in memory. `IN_USE` if another process has it open. */
  static async open(of: StoredOf, folder: string | null): Promise<LogitsStore> {
    const answers = new LogitsStore(of, folder);
    const { file } = answers;
    if (file !== null && (await kindOf(file)) !== null) {
      answers.#takeLock();
      await answers.#read(file);
    }
    return answers;
  }

  /** The file that they are kept in; null: none. */
  get file(): string | null {
    return this.folder === null ? null : join(this.folder, `${this.of.key.slice(0, 16)}.answers`);
  }

  /** How many samples have an answer. */
  get count(): number {
    return this.#count;
  }

  /** The samples that have none, ascending. */
  missing(): Int32Array {
    const out = new Int32Array(this.of.samples - this.#count);
    let at = 0;
    for (let i = 0; i < this.of.samples; i++) if (this.#known[i] === 0) out[at++] = i;
    return out;
  }

  /** The logits [samples, classes]; 0 where there is no answer. */
  get values(): Float32Array {
    return this.#values;
  }

  /**
   * Stores the logits [n, classes] of samples; resolves when they are on disk. After `close` they are too late and
   * dropped.
   */
  async add(indices: Int32Array, logits: Float32Array): Promise<void> {
    const { classes } = this.of;
    if (this.#isClosed) return;
    // Before anything is awaited: the next answer may reuse the same memory.
    for (const [i, index] of indices.entries()) {
      this.#values.set(rowOf(logits, i, classes), index * classes);
    }
    if (this.folder !== null) {
      const records = this.#records(indices, logits);
      // One after the other: each record is complete before the next one.
      this.#written = this.#written.then(() => this.#append(records));
      await this.#written;
    }
    for (const index of indices) {
      this.#count += 1 - this.#known[index];
      this.#known[index] = 1;
    }
  }

  /** Releases the file for others, once everything so far is in it. */
  async close(): Promise<void> {
    this.#isClosed = true;
    // Its failure has already ended the call that added it.
    await this.#written.catch(() => {});
    this.#lock?.release();
    this.#lock = null;
  }

  get #size(): number {
    return RECORD_HEAD + 4 * this.of.classes;
  }

  #records(indices: Int32Array, logits: Float32Array): Buffer {
    const { classes } = this.of;
    const bytes = Buffer.alloc(indices.length * this.#size);
    for (const [i, index] of indices.entries()) {
      const row = rowOf(logits, i, classes);
      const record = bytes.subarray(i * this.#size, (i + 1) * this.#size);
      record.writeUInt32LE(index, 0);
      record.set(bytesOf(row), RECORD_HEAD);
      record.writeUInt32LE(checksum(record), 4);
    }
    return bytes;
  }

  async #append(bytes: Buffer): Promise<void> {
    const { folder, file } = this;
    if (folder === null || file === null) return;
    try {
      makeFolder(folder);
      this.#takeLock();
      const handle = await open(file, "a");
      try {
        await handle.appendFile(bytes);
        await handle.datasync();
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw error instanceof DistilleryError ? error : ioError("write", file, error);
    }
  }

  async #read(file: string): Promise<void> {
    const { samples, classes } = this.of;
    const sliced = await openSliced(file);
    const records = Math.floor(sliced.size / this.#size);
    const step = Math.max(1, Math.floor(READ / this.#size));
    for (let first = 0; first < records; first += step) {
      const bytes = Buffer.alloc(Math.min(step, records - first) * this.#size);
      readSlice(sliced, first * this.#size, bytes);
      for (let at = 0; at < bytes.length; at += this.#size) {
        const record = bytes.subarray(at, at + this.#size);
        const index = record.readUInt32LE(0);
        if (index >= samples || record.readUInt32LE(4) !== checksum(record)) continue;
        for (let c = 0; c < classes; c++) {
          this.#values[index * classes + c] = record.readFloatLE(RECORD_HEAD + 4 * c);
        }
        this.#count += 1 - this.#known[index];
        this.#known[index] = 1;
      }
    }
    if (records * this.#size === sliced.size) return;
    try {
      const handle = await open(file, "r+");
      await handle.truncate(records * this.#size).finally(() => handle.close());
    } catch (error) {
      throw ioError("write", file, error);
    }
  }

  #takeLock(): void {
    const { file } = this;
    if (this.#lock !== null || file === null) return;
    this.#lock = native.lockFile(`${file}.lock`);
    if (this.#lock !== null) return;
    throw new DistilleryError("IN_USE", `${file}: another process is asking: wait for its end, or name another folder`);
  }
}

/** Of a record's index and logits. */
function checksum(record: Buffer): number {
  return crc32(record.subarray(RECORD_HEAD), crc32(record.subarray(0, 4)));
}
