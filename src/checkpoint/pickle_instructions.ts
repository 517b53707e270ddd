/** Writes the instructions of a pickle, protocol 2, as PyTorch's own are. */
export class PickleInstructions {
  readonly #parts: Buffer[] = [];
  readonly #memo = new Map<string, number>();

  bytes(): Uint8Array {
    return Buffer.concat(this.#parts);
  }

  raw(codes: string): this {
    this.#parts.push(Buffer.from(codes, "latin1"));
    return this;
  }

  text(text: string): this {
    const utf8 = Buffer.from(text, "utf8");
    const length = Buffer.alloc(4);
    length.writeUInt32LE(utf8.length);
    this.raw("X").#parts.push(length, utf8);
    return this;
  }

  /** A name (`c`) or a text (`X`) that is written out once and recalled from the memo after that; for a few only. */
  shared(code: "c" | "X", text: string): this {
    const index = this.#memo.get(code + text);
    if (index !== undefined) return this.raw("h").#uint(index, 1);
    this.#memo.set(code + text, this.#memo.size);
    return (code === "c" ? this.raw(code + text) : this.text(text)).raw("q").#uint(this.#memo.size - 1, 1);
  }

  int(value: number | bigint): this {
    if (value >= 0 && value < 2 ** 8) return this.raw("K").#uint(Number(value), 1);
    if (value >= 0 && value < 2 ** 16) return this.raw("M").#uint(Number(value), 2);
    if (value >= -(2 ** 31) && value < 2 ** 31) return this.raw("J").#uint(Number(value) >>> 0, 4);
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(value));
    this.raw("\x8a\x08").#parts.push(bytes);
    return this;
  }

  float(value: number): this {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(value);
    this.raw("G").#parts.push(bytes);
    return this;
  }

  tuple<T>(values: readonly T[], write: (value: T) => void): this {
    const short = [")", "\x85", "\x86", "\x87"][values.length];
    if (short === undefined) this.raw("(");
    values.forEach(write);
    return this.raw(short ?? "t");
  }

  /** Values that are added to what is on the stack: as Python does, no more than 1000 in one instruction. */
  batches<T>(values: readonly T[], write: (value: T) => void, add: "u" | "e"): this {
    for (let start = 0; start < values.length; start += BATCH) {
      this.raw("(");
      values.slice(start, start + BATCH).forEach(write);
      this.raw(add);
    }
    return this;
  }

  #uint(value: number, width: number): this {
    const bytes = Buffer.alloc(width);
    bytes.writeUIntLE(value, 0, width);
    this.#parts.push(bytes);
    return this;
  }
}

const BATCH = 1000;
