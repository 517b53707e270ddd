import { constants } from "node:buffer";
import { setImmediate } from "node:timers/promises";
import { DistilleryError } from "../../errors.js";
import { badData, readSlice, type SlicedFile } from "../../files/index.js";

/**
 * Splits a text, whose first line has this number, into records; one that is not the file's last may cut its last
 * record off.
 */
export type ParseText<R> = (text: string, line: number, isLast: boolean) => ParsedText<R>;

/** The whole records of a text. */
export interface ParsedText<R> {
  readonly records: readonly TextRecord<R>[];
  /** The line in which a record begins that is cut off; null: there is none. */
  readonly cut: number | null;
}

/** A record and the line that it begins in. */
export interface TextRecord<R> {
  readonly value: R;
  readonly line: number;
}

/** Whole records between two bytes of a file. */
interface Block {
  readonly start: number;
  readonly end: number;
  /** The line that it begins in. */
  readonly line: number;
  /** The number of its first record. */
  readonly first: number;
}

/** About how many bytes a block has. */
const BLOCK = 2 ** 18;
const [LF, CR] = [10, 13];

/**
 * The records of a text file, such as the lines of a table. The encoding is given, or that of a byte order mark, or
 * UTF-8. The file is read once in blocks of whole records. Their positions are kept, so that any range can be read
 * again.
 */
export class TextRecords<R> {
  readonly #blocks: Block[] = [];
  #encoding: string;
  /** The records of the block that was read last, in which the next range often begins. */
  #last?: { readonly block: Block; readonly records: readonly TextRecord<R>[] };
  length = 0;

  constructor(
    readonly file: SlicedFile,
    private readonly parse: ParseText<R>,
    encoding = "utf-8",
  ) {
    this.#encoding = new TextDecoder(encoding).encoding;
  }

  /** The same with each record changed. */
  map<S>(change: (record: R, isFirst: boolean) => S): TextRecords<S> {
    const parse: ParseText<S> = (text, line, isLast) => {
      const { records, cut } = this.parse(text, line, isLast);
      const changed = records.map(({ value, line: at }, i) => ({
        value: change(value, line === 1 && i === 0),
        line: at,
      }));
      return { records: changed, cut };
    };
    return new TextRecords(this.file, parse, this.#encoding);
  }

  /** The first records: those of a block, and of more until there are `least` of them. */
  first(least = 1): readonly TextRecord<R>[] {
    let first: readonly TextRecord<R>[] = [];
    for (let [start, line] = [0, 1]; start < this.file.size && first.length < least; ) {
      const { end, nextLine, records } = this.#nextBlock(start, line);
      [start, line, first] = [end, nextLine, first.concat(records)];
    }
    return first;
  }

  /** Reads all records, `take` is called with each. */
  async scan(take: (record: R, line: number) => void): Promise<void> {
    let [start, line] = [0, 1];
    while (start < this.file.size) {
      const { end, nextLine, records } = this.#nextBlock(start, line);
      this.#blocks.push({ start, end, line, first: this.length });
      this.length += records.length;
      for (const { value, line: at } of records) take(value, at);
      [start, line] = [end, nextLine];
      await setImmediate();
    }
  }

  /** Calls `take` with the records `start` to `end` (not included) and their numbers. */
  read(start: number, end: number, take: (record: R, line: number, number: number) => void): void {
    let i = this.#blocks.findLastIndex(({ first }) => first <= start);
    for (; i < this.#blocks.length && this.#blocks[i].first < end; i++) {
      const { first } = this.#blocks[i];
      const records = this.#recordsOf(this.#blocks[i]);
      for (let at = Math.max(0, start - first); at < records.length && first + at < end; at++) {
        take(records[at].value, records[at].line, first + at);
      }
    }
  }

  /** The records of a block; `BAD_DATA` if the file changed, even if they are known. */
  #recordsOf(block: Block): readonly TextRecord<R>[] {
    const { start, end, line } = block;
    if (this.#last?.block === block) readSlice(this.file, start, new Uint8Array(0));
    else this.#last = { block, records: this.parse(this.#text(start, end, line), line, true).records };
    return this.#last.records;
  }

  /** Whole records from `start` on: as many lines as fit into a block, or more if they are one record. */
  #nextBlock(start: number, line: number): { end: number; nextLine: number; records: readonly TextRecord<R>[] } {
    const { size } = this.file;
    for (let length = BLOCK; ; length *= 2) {
      const isLast = start + length >= size;
      const bytes = new Uint8Array(Math.min(length, size - start));
      if (bytes.length > constants.MAX_STRING_LENGTH) {
        const text = `a record has more than ${length / 2} bytes: does a quote or a line not end?`;
        throw badData(this.file.path, `line ${line}: ${text}`);
      }
      readSlice(this.file, start, bytes);
      if (start === 0) this.#encoding = markedEncoding(bytes) ?? this.#encoding;
      const end = isLast ? bytes.length : lastLineEnd(bytes, this.#encoding);
      if (end === 0) continue;
      const text = this.#decode(bytes.subarray(0, end), start, line);
      const { records, cut } = this.parse(text, line, isLast);
      if (cut === null) return { end: start + end, nextLine: line + countLines(text), records };
      // The next block begins with the record that is cut off.
      if (records.length > 0) {
        return { end: start + endOfLines(bytes, this.#encoding, cut - line), nextLine: cut, records };
      }
    }
  }

  #text(start: number, end: number, line: number): string {
    const bytes = new Uint8Array(end - start);
    readSlice(this.file, start, bytes);
    return this.#decode(bytes, start, line);
  }

  #decode(bytes: Uint8Array, start: number, line: number): string {
    return decodeText(bytes, this.file.path, { encoding: this.#encoding, isStart: start === 0, line });
  }
}

/** What is said of files that no encoding makes a text of, and the bytes that they begin with. */
const PACKED: readonly (readonly [problem: string, start: readonly number[]])[] = [
  ["is gzipped: unpack it first", [0x1f, 0x8b]],
  ["is a zip archive, as a spreadsheet (.xlsx) is too: unpack it, or save its table as CSV", [0x50, 0x4b, 3, 4]],
];

/** The text of bytes, its lines ended by "\n", without a byte order mark at the start of a file. */
export function decodeText(
  bytes: Uint8Array,
  file: string,
  { encoding = "utf-8", isStart = true, line = 1 }: { encoding?: string; isStart?: boolean; line?: number } = {},
): string {
  const packed = isStart ? PACKED.find(([, start]) => start.every((byte, i) => bytes[i] === byte)) : undefined;
  if (packed !== undefined) throw badData(file, packed[0]);
  const utf16 = encoding === "utf-8" && isStart ? utf16Of(bytes) : null;
  if (utf16 !== null) {
    const text = `has a NUL in every second byte, as ${utf16.toUpperCase()} without a byte order mark`;
    throw badData(file, `line ${line}: ${text}: set encoding (--encoding) to ${utf16}`);
  }
  try {
    const text = new TextDecoder(encoding, { fatal: true, ignoreBOM: !isStart }).decode(bytes);
    if (text.includes("\0")) {
      const nul = line + text.slice(0, text.indexOf("\0")).split("\n").length - 1;
      throw badData(file, `line ${nul}: has a NUL character: is this a text file?`);
    }
    return text.includes("\r") ? text.replaceAll(/\r\n?/g, "\n") : text;
  } catch (error) {
    if (error instanceof DistilleryError) throw error;
    const wrong = `line ${line + goodLines(bytes, encoding)}: not text in ${encoding.toUpperCase()}`;
    throw badData(file, `${wrong}: set encoding (--encoding), such as latin1`, error);
  }
}

/** Bytes at the start of a text by which its encoding is told. */
const TOLD_BY = 256;

/**
 * The encoding of text without a byte order mark whose every second byte is mostly 0, as in UTF-16; null for other
 * text.
 */
function utf16Of(bytes: Uint8Array): "utf-16le" | "utf-16be" | null {
  const start = bytes.subarray(0, TOLD_BY);
  const zeros = [0, 0];
  for (const [i, byte] of start.entries()) if (byte === 0) zeros[i % 2] += 1;
  const [even, odd] = zeros.map((count) => count > start.length / 4);
  if (even === odd) return null;
  return odd ? "utf-16le" : "utf-16be";
}

/** How many lines come before the first that cannot be decoded. */
function goodLines(bytes: Uint8Array, encoding: string): number {
  if (encoding.startsWith("utf-16")) return 0;
  const decoder = new TextDecoder(encoding, { fatal: true });
  let [lines, start] = [0, 0];
  for (let end = bytes.indexOf(LF) + 1; end > 0; end = bytes.indexOf(LF, start) + 1) {
    try {
      decoder.decode(bytes.subarray(start, end));
    } catch {
      return lines;
    }
    lines++;
    start = end;
  }
  return lines;
}

/** What a byte order mark says; null: there is none. */
function markedEncoding([a, b, c]: Uint8Array): string | null {
  if (a === 0xff && b === 0xfe) return "utf-16le";
  if (a === 0xfe && b === 0xff) return "utf-16be";
  return a === 0xef && b === 0xbb && c === 0xbf ? "utf-8" : null;
}

/** The end of the last whole line; 0: there is none. */
function lastLineEnd(bytes: Uint8Array, encoding: string): number {
  if (encoding.startsWith("utf-16")) {
    const low = encoding === "utf-16le" ? 0 : 1;
    for (let at = bytes.length - (bytes.length % 2) - 2; at >= 0; at -= 2) {
      if (bytes[at + low] === LF && bytes[at + 1 - low] === 0) return at + 2;
    }
    return 0;
  }
  const end = bytes.lastIndexOf(LF) + 1;
  // Not a carriage return at the very end, which a line feed may follow.
  return end > 0 ? end : bytes.lastIndexOf(CR, bytes.length - 2) + 1;
}

/** The end of the first whole lines, which are as many. */
function endOfLines(bytes: Uint8Array, encoding: string, lines: number): number {
  const isWide = encoding.startsWith("utf-16");
  const low = encoding === "utf-16be" ? 1 : 0;
  const unit = (at: number) => (isWide ? bytes[at + low] + 256 * bytes[at + 1 - low] : bytes[at]);
  const width = isWide ? 2 : 1;
  let at = 0;
  for (let left = lines; left > 0; at += width) {
    if (unit(at) === LF || (unit(at) === CR && unit(at + width) !== LF)) left--;
  }
  return at;
}

function countLines(text: string): number {
  let lines = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines++;
  return lines;
}
