import { promisify } from "node:util";
import { crc32, inflateRaw } from "node:zlib";
import {
  type Entry,
  type FileEntry,
  Uint8ArrayReader,
  Uint8ArrayWriter,
  WARNING_TRAILING_CENTRAL_DIRECTORY_DATA,
  ZipReader,
} from "@zip.js/zip.js";
import { DistilleryError } from "../errors.js";
import { MAX_FILE_BYTES } from "./read.js";

const MAX_ENTRIES = 65_536;
const ZIP64_END = 56 + 20;
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
  /** What is wrong with inflating an entry to so many bytes; null: nothing. */
  refuseSize?(bytes: number): string | null;
  /** The error for a problem of the archive. */
  fail(problem: string, cause?: unknown): Error;
  /** The names of the entries to read; throws for those that no wanted archive has, before any entry is read. */
  choose(names: readonly string[]): readonly string[];
}

/**
 * Entries of an archive by name, in its order: views of `bytes` where they are stored. Refused: a wrong checksum,
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
  // Not strictness "strict": it refuses the zip64 record that PyTorch writes into every archive, needed or not.
  const reader = new ZipReader(new Uint8ArrayReader(bytes), {
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
  checkArchive(reader, bytes, kind);
  const wanted = new Set(kind.choose(found.map(({ filename }) => filename)));
  const entries = new Map<string, Uint8Array>();
  for (const entry of found) {
    if (wanted.has(entry.filename)) entries.set(entry.filename, await readEntry(entry, bytes, kind));
  }
  return entries;
}

function checkArchive(reader: ZipReader<unknown>, bytes: Uint8Array, kind: ZipKind): void {
  for (const { reason } of reader.warnings ?? []) {
    if (reason === WARNING_TRAILING_CENTRAL_DIRECTORY_DATA && hasZip64End(reader, bytes)) continue;
    throw kind.fail(`its zip archive is not as ${kind.writer} writes it: ${reason}`);
  }
}

function hasZip64End(reader: ZipReader<unknown>, bytes: Uint8Array): boolean {
  const start = (reader.directoryOffset ?? 0) + (reader.directoryLength ?? 0);
  const record = Buffer.from(bytes.buffer, bytes.byteOffset + start, Math.min(ZIP64_END + 4, bytes.length - start));
  return [0, 56, ZIP64_END].every((at, i) => record.toString("latin1", at, at + 4) === ZIP64_SIGNATURES[i]);
}

const ZIP64_SIGNATURES = ["PK\x06\x06", "PK\x06\x07", "PK\x05\x06"];

async function readEntry(entry: Entry, bytes: Uint8Array, kind: ZipKind): Promise<Uint8Array> {
  const { filename, compressionMethod, compressedSize, uncompressedSize } = entry;
  const refuse = (problem: string, cause?: unknown) => kind.fail(`entry ${quote(filename)} ${problem}`, cause);
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
  if (crc32(data) !== entry.crc32) throw refuse("is damaged: its checksum is wrong");
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
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** A name as it is shown in a message: quoted, on one line, short. */
function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
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
  return [message.toLowerCase(), reason, filename === undefined ? undefined : quote(filename)]
    .filter((part) => part !== undefined)
    .join(", ");
}
