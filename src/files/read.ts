import { type Dirent, readFileSync, type Stats, statSync } from "node:fs";
import { type FileHandle, open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { DistilleryError } from "../errors.js";
import { ioError } from "./file_errors.js";

/** The size that a file may have: what Node.js reads and writes in one go. */
export const MAX_FILE_BYTES = 2 ** 31 - 1;

/** The memory of an array, byte by byte: every platform that Node.js and the kernels run on is little-endian. */
export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/**
 * The bytes of a regular file; `NOT_FOUND` or `IO_ERROR` with its name otherwise. `instead`: what to do with one that
 * is too large.
 */
export async function readWhole(file: string, instead?: string): Promise<Uint8Array> {
  const fail = (error: unknown) => {
    throw ioError("read", file, error);
  };
  // Asked before opening: a pipe would wait and a device might never end.
  expectReadable(file, await stat(file).catch(fail), instead);
  return bytesOf(await readFile(file).catch(fail));
}

/** {@link readWhole} of a file of any size. */
export async function readLarge(file: string): Promise<Uint8Array> {
  let handle: FileHandle | null = null;
  try {
    expectRegular(file, await stat(file));
    handle = await open(file);
    const bytes = new Uint8Array((await handle.stat()).size);
    let filled = 0;
    for (let read = -1; read !== 0 && filled < bytes.length; filled += read) {
      ({ bytesRead: read } = await handle.read(bytes, filled, Math.min(bytes.length - filled, MAX_FILE_BYTES), filled));
    }
    return bytes.subarray(0, filled);
  } catch (error) {
    throw error instanceof DistilleryError ? error : ioError("read", file, error);
  } finally {
    await handle?.close();
  }
}

/** {@link readWhole} without waiting for the disk, for what has to be read in the middle of a batch. */
export function readWholeSync(file: string): Uint8Array {
  try {
    expectReadable(file, statSync(file));
    return bytesOf(readFileSync(file));
  } catch (error) {
    throw error instanceof DistilleryError ? error : ioError("read", file, error);
  }
}

function expectRegular(file: string, status: Stats): void {
  if (status.isDirectory()) throw new DistilleryError("IO_ERROR", `${file}: is a folder, not a file`);
  if (!status.isFile()) throw new DistilleryError("IO_ERROR", `${file}: is not a regular file`);
}

function expectReadable(file: string, status: Stats, instead?: string): void {
  expectRegular(file, status);
  if (status.size <= MAX_FILE_BYTES) return;
  const text = `${file}: ${status.size} bytes; at most ${MAX_FILE_BYTES} can be read`;
  throw new DistilleryError("IO_ERROR", instead === undefined ? text : `${text}: ${instead}`);
}

/** The names of all but folders in a folder; `NOT_FOUND` if there is no such folder. */
export async function listFiles(folder: string): Promise<Set<string>> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw ioError("read", folder, error, "folder");
  });
  return new Set(entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name));
}

/** The names of the folders in a folder, links to folders among them, sorted; hidden ones are left out. */
export async function listFolders(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw ioError("read", folder, error, "folder");
  });
  const isFolder = async (entry: Dirent) =>
    entry.isDirectory() || (entry.isSymbolicLink() && (await kindOf(join(folder, entry.name))) === "folder");
  const seen = entries.filter(({ name }) => !name.startsWith("."));
  const kept = await Promise.all(seen.map(async (entry) => ((await isFolder(entry)) ? [entry.name] : [])));
  return kept.flat().sort();
}

/** What a path leads to; null: nothing. */
export async function kindOf(path: string): Promise<"file" | "folder" | null> {
  try {
    return (await stat(path)).isDirectory() ? "folder" : "file";
  } catch (error) {
    const refused = ioError("read", path, error);
    if (refused.code === "NOT_FOUND") return null;
    throw refused;
  }
}
