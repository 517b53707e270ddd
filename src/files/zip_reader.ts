import { promisify } from "node:util";
import { crc32, inflateRaw } from "node:zlib";
import { type Entry, type FileEntry, Reader, Uint8ArrayWriter, ZipReader } from "@zip.js/zip.js";
import { show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { bytesOf, MAX_FILE_BYTES } from "./read.js";

const MAX_ENTRIES = 65_536;
const END = 22;
const ZIP64_LOCATOR = 20;
const ZIP64_RECORD = 56;
const DEFLATE = 8;
/** DEFLATE makes at most this many bytes of one. */
const MAX_INFLATION = 1032;

export type ZipEntries = ReadonlyMap<string, Uint8Array>;

/** What kind of archive is read. */
interface ZipKind {
  /** Who writes such archives, for the error of one that is not as it writes them. */
  readonly writer: string;
  /** Why compressed entries are refused; null: they are inflated. */
  readonly refuseCompressed: string | null;
  /** What an archive with the checksum 0 of all entries may be beside damaged. */
  readonly withoutChecksums?: string;
  /** Why an entry may not be inflated to `bytes`; null if it may. */
  refuseSize?(bytes: number): string | null;
  /** The error for a problem of the archive. */
  fail(problem: string, cause?: unknown): Error;
  /** The names of the entries to read; throws for those that no wanted archive has, before any entry is read. */
  choose(names: readonly string[]): readonly string[];
}

/**
 * Entries of an archive by name, in its order: views of `bytes` if they are stored. Refused: a wrong checksum,
 * entries that overlap, repeat or are encrypted, names that leave the archive's folder, headers that disagree with the
 * directory, anything before or after the archive.
 */
export async function readZip(bytes: Uint8Array, kind: ZipKind): Promise<ZipEntries> {
  try {
    return await readEntries(bytes, kind);
  } catch (error) {
    if (error instanceof DistilleryError) throw error;
    throw kind.fail(`its zip archive is damaged: ${describe(error)}`, error);
  }
}

async function readEntries(bytes: Uint8Array, kind: ZipKind): Promise<ZipEntries> {
  const reader = new ZipReader(new ArchiveReader(bytes), {
    strictness: "balanced",
    filenameValidation: "strict",
    maxAppendedDataSize: 0,
    checkLocalDirectory: true,
    checkOverlappingEntryOnly: true,
    useWebWorkers: false,
  });
  const found: Entry[] = [];
  for await (const entry of reader.getEntriesGenerator()) {
    if (found.push(entry) > MAX_ENTRIES) throw kind.fail(`more than ${MAX_ENTRIES} entries in its archive`);
  }
  checkArchive(reader, kind);
  const wanted = new Set(kind.choose(found.map(({ filename }) => filename)));
  const orUnchecked = found.every(({ crc32 }) => crc32 === 0) ? (kind.withoutChecksums ?? "") : "";
  const entries = new Map<string, Uint8Array>();
  for (const entry of found) {
    if (wanted.has(entry.filename)) entries.set(entry.filename, await readEntry(entry, bytes, kind, orUnchecked));
  }
  return entries;
}

function checkArchive(reader: ZipReader<unknown>, kind: ZipKind): void {
  const [warning] = reader.warnings ?? [];
  if (warning !== undefined) {
    throw kind.fail(`its zip archive is not as ${kind.writer} writes it: ${warning.reason}`);
  }
}

/**
 * The archive without a zip64 end that says no more than the usual end behind it, as PyTorch writes into every archive.
 * zip.js does not read such a record: it takes it for a part of the directory, whose beginning it then looks for 76
 * bytes too late, and believes in what it finds if the first header has just that length.
 */
class ArchiveReader extends Reader<Uint8Array> {
  readonly #parts: readonly Uint8Array[];

  constructor(bytes: Uint8Array) {
    super(bytes);
    const [cut, end] = [bytes.length - END - ZIP64_LOCATOR - ZIP64_RECORD, bytes.length - END];
    this.#parts = hasIdleZip64End(bytes, cut) ? [bytes.subarray(0, cut), bytes.subarray(end)] : [bytes];
    this.size = this.#parts.reduce((sum, { length }) => sum + length, 0);
  }

  override readUint8Array(index: number, length: number): Promise<Uint8Array> {
    const [first, last] = this.#parts;
    const head = first.slice(index, index + length);
    if (last === undefined || index + length <= first.length) return Promise.resolve(head);
    const tail = last.subarray(Math.max(0, index - first.length), index + length - first.length);
    return Promise.resolve(Buffer.concat([head, tail]));
  }
}

/**
 * Whether there is a zip64 end at `at`, right behind the directory and in front of the usual end, that says the same.
 */
function hasIdleZip64End(bytes: Uint8Array, at: number): boolean {
  if (at < 0) return false;
  const tail = Buffer.from(bytes.buffer, bytes.byteOffset + at, bytes.length - at);
  const [locator, end] = [ZIP64_RECORD, ZIP64_RECORD + ZIP64_LOCATOR];
  const isSigned = [0, locator, end].every((from, i) => tail.toString("latin1", from, from + 4) === SIGNATURES[i]);
  if (!isSigned) return false;
  const entries = tail.readUInt16LE(end + 10);
  const [length, offset] = [tail.readUInt32LE(end + 12), tail.readUInt32LE(end + 16)];
  const said = [4, 24, 32, 40, 48, locator + 8].map((from) => tail.readBigUInt64LE(from));
  const expected = [ZIP64_RECORD - 12, entries, entries, length, offset, at];
  return offset + length === at && expected.every((value, i) => said[i] === BigInt(value));
}

const SIGNATURES = ["PK\x06\x06", "PK\x06\x07", "PK\x05\x06"];

async function readEntry(entry: Entry, bytes: Uint8Array, kind: ZipKind, orUnchecked: string): Promise<Uint8Array> {
  const { filename, compressionMethod, compressedSize, uncompressedSize } = entry;
  const refuse = (problem: string, cause?: unknown) => kind.fail(`entry ${show(filename)} ${problem}`, cause);
  if (entry.directory || entry.symlink) throw refuse("is a folder or a link");
  if (entry.encrypted) throw refuse("is encrypted");
  const compressed = compressionMethod !== 0 || compressedSize !== uncompressedSize;
  if (compressed && kind.refuseCompressed !== null) throw refuse(`is compressed, ${kind.refuseCompressed}`);
  if (compressed && compressionMethod !== DEFLATE) throw refuse("is compressed with another method than DEFLATE");
  const tooLarge = compressed ? (kind.refuseSize?.(uncompressedSize) ?? null) : null;
  if (tooLarge !== null) throw refuse(tooLarge);
  // Checks the header in front of the data, its place in the file, and that no other entry lies there.
  await (entry as FileEntry).getData(new Uint8ArrayWriter(), { checkOverlappingEntryOnly: true });
  const start = entry.localDirectory?.dataOffset ?? bytes.length;
  const stored = bytes.subarray(start, start + compressedSize);
  if (stored.length !== compressedSize) throw refuse("passes the end of the file");
  if (compressed && uncompressedSize > MAX_INFLATION * compressedSize) {
    throw refuse(`claims ${uncompressedSize} bytes, more than its ${compressedSize} can hold`);
  }
  const data = compressed ? await inflate(stored, uncompressedSize, refuse) : stored;
  if (crc32(data) !== entry.crc32) throw refuse(`is damaged: its checksum is wrong${orUnchecked}`);
  return data;
}

/** Inflates to the claimed size; what would become larger is given up there. */
async function inflate(
  stored: Uint8Array,
  size: number,
  refuse: (problem: string, cause?: unknown) => Error,
): Promise<Uint8Array> {
  if (size > MAX_FILE_BYTES) throw refuse(`claims ${size} bytes; at most ${MAX_FILE_BYTES} are read`);
  let data: Buffer;
  try {
    data = await promisify(inflateRaw)(stored, { maxOutputLength: Math.max(size, 1), chunkSize: 2 ** 18 });
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string };
    const isMore = code === "ERR_BUFFER_TOO_LARGE";
    throw refuse(isMore ? `inflates to more than the ${size} bytes it claims` : `is damaged: ${message}`, error);
  }
  if (data.length !== size) throw refuse(`claims ${size} bytes, inflates to ${data.length}`);
  return bytesOf(data);
}

function describe(error: unknown): string {
  const {
    message = String(error),
    reason,
    filename,
  } = error as {
    message?: string;
    reason?: string;
    filename?: string;
  };
  return [message.toLowerCase(), reason, filename === undefined ? undefined : show(filename)]
    .filter((part) => part !== undefined)
    .join(", ");
}
