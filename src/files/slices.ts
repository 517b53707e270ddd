import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { stat } from "node:fs/promises";
import { DistilleryError } from "../errors.js";
import { badData, ioError } from "./file_errors.js";

/** A file whose parts are read one by one; it must not change meanwhile. */
export interface SlicedFile {
  readonly path: string;
  readonly size: number;
  readonly mtimeMs: number;
}

/** A regular file as it is now; `NOT_FOUND` or `IO_ERROR` otherwise. */
export async function openSliced(path: string): Promise<SlicedFile> {
  const status = await stat(path).catch((error: unknown) => {
    throw ioError("read", path, error);
  });
  if (!status.isFile()) throw new DistilleryError("IO_ERROR", `${path}: is not a regular file`);
  return { path, size: status.size, mtimeMs: status.mtimeMs };
}

/**
 * Fills `into` with the bytes from `at` on. Each call opens the file anew, so nothing has to be closed; `BAD_DATA` if
 * the file changed or ends early.
 */
export function readSlice({ path, size, mtimeMs }: SlicedFile, at: number, into: Uint8Array): void {
  let descriptor: number | null = null;
  try {
    descriptor = openSync(path, "r");
    const status = fstatSync(descriptor);
    if (status.size !== size || status.mtimeMs !== mtimeMs) throw badData(path, "changed since it was opened");
    let filled = 0;
    while (filled < into.length) {
      const read = readSync(descriptor, into, filled, into.length - filled, at + filled);
      if (read === 0) throw badData(path, `truncated: ends at byte ${at + filled}`);
      filled += read;
    }
  } catch (error) {
    throw error instanceof DistilleryError ? error : ioError("read", path, error);
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
}

/** The first bytes of a file, `length` of them or all. */
export function readHead(file: SlicedFile, length: number): Uint8Array {
  const head = new Uint8Array(Math.min(length, file.size));
  readSlice(file, 0, head);
  return head;
}
