import { writeFile } from "node:fs/promises";
import writeFileAtomic from "write-file-atomic";
import { ioError } from "./file_errors.js";

/**
 * Writes a file whole or not at all: beside it, synced, then renamed. On failure what was there stays, nothing else is
 * left behind, and the error is `IO_ERROR` with the file's name and what to do.
 */
export async function writeWhole(file: string, data: Uint8Array | string | Iterable<Uint8Array>): Promise<void> {
  // The package's own write does not look at how much was written, and would rename what a full disk cut short.
  const fill = (temporary: string) => writeFile(temporary, data);
  try {
    await writeFileAtomic(file, "", { tmpfileCreated: fill });
  } catch (error) {
    throw ioError("write", file, error);
  }
}
