import { crc32 } from "node:zlib";
import {
  type Entry,
  type FileEntry,
  Uint8ArrayReader,
  Uint8ArrayWriter,
  WARNING_TRAILING_CENTRAL_DIRECTORY_DATA,
  ZipReader,
} from "@zip.js/zip.js";
import { DistilleryError } from "../errors.js";
import { badCheckpoint, quote } from "./bad_checkpoint.js";

const MAX_ENTRIES = 65_536;
const ZIP64_END = 56 + 20;

export type ZipEntries = ReadonlyMap<string, Uint8Array>;
/** Throws for names that are not those of the wanted archive, before any entry is read. */
export type CheckNames = (names: readonly string[]) => void;

/**
 * The entries of a PyTorch archive by name, as views of `bytes`: nothing is copied or inflated. Refused with
 * `BAD_CHECKPOINT`: a wrong checksum, entries that overlap, repeat, are compressed or encrypted, names that leave the
 * archive's folder, headers that disagree with the directory, anything before or after the archive.
 */
export async function readZip(bytes: Uint8Array, name: string, checkNames: CheckNames): Promise<ZipEntries> {
  try {
    return await readEntries(bytes, name, checkNames);
  } catch (error) {
    if (error instanceof DistilleryError) throw error;
    throw badCheckpoint(name, `its zip archive is damaged: ${describe(error)}`, error);
  }
}

async function readEntries(bytes: Uint8Array, name: string, checkNames: CheckNames): Promise<ZipEntries> {
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
    if (found.push(entry) > MAX_ENTRIES) throw badCheckpoint(name, `more than ${MAX_ENTRIES} entries in its archive`);
  }
  checkArchive(reader, bytes, name);
  checkNames(found.map(({ filename }) => filename));
  const entries = new Map<string, Uint8Array>();
  for (const entry of found) entries.set(entry.filename, await readEntry(entry, bytes, name));
  return entries;
}

function checkArchive(reader: ZipReader<unknown>, bytes: Uint8Array, name: string): void {
  for (const { reason } of reader.warnings ?? []) {
    if (reason === WARNING_TRAILING_CENTRAL_DIRECTORY_DATA && hasZip64End(reader, bytes)) continue;
    throw badCheckpoint(name, `its zip archive is not as PyTorch writes it: ${reason}`);
  }
}

function hasZip64End(reader: ZipReader<unknown>, bytes: Uint8Array): boolean {
  const start = (reader.directoryOffset ?? 0) + (reader.directoryLength ?? 0);
  const record = Buffer.from(bytes.buffer, bytes.byteOffset + start, Math.min(ZIP64_END + 4, bytes.length - start));
  return [0, 56, ZIP64_END].every((at, i) => record.toString("latin1", at, at + 4) === ZIP64_SIGNATURES[i]);
}

const ZIP64_SIGNATURES = ["PK\x06\x06", "PK\x06\x07", "PK\x05\x06"];

async function readEntry(entry: Entry, bytes: Uint8Array, name: string): Promise<Uint8Array> {
  const { filename, compressionMethod, compressedSize, uncompressedSize } = entry;
  const refuse = (problem: string) => badCheckpoint(name, `entry ${quote(filename)} ${problem}`);
  if (entry.directory || entry.symlink) throw refuse("is a folder or a link");
  if (entry.encrypted) throw refuse("is encrypted");
  if (compressionMethod !== 0 || compressedSize !== uncompressedSize) {
    throw refuse("is compressed, which torch.save never does: write the file again with it");
  }
  // Checks the header in front of the data, its place in the file, and that no other entry lies there.
  await (entry as FileEntry).getData(new Uint8ArrayWriter(), { checkOverlappingEntryOnly: true });
  const start = entry.localDirectory?.dataOffset ?? bytes.length;
  const data = bytes.subarray(start, start + uncompressedSize);
  if (data.length !== uncompressedSize) throw refuse("passes the end of the file");
  if (crc32(data) !== entry.crc32) throw refuse("is damaged: its checksum is wrong");
  return data;
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
