import { stat, writeFile } from "node:fs/promises";
import writeFileAtomic from "write-file-atomic";
import { DistilleryError } from "../errors.js";
import { ioError } from "./file_errors.js";

/**
 * Writes a file whole or not at all: beside it, synced, then renamed. On failure what was there stays, nothing else is
 * left behind, and the error is `IO_ERROR` with the file's name and what to do. A pipe, socket or device is refused: the
 * rename would replace it.
 */
export async function writeWhole(file: string, data: Uint8Array | string | Iterable<Uint8Array>): Promise<void> {
  // The package's own write does not look at how much was written, and would rename what a full disk cut short.
  const fill = (temporary: string) => writeFile(temporary, data);
  const status = await stat(file).catch(() => null);
  if (status !== null && !status.isFile() && !status.isDirectory()) {
    throw new DistilleryError(
      "IO_ERROR",
      `${file}: is not a regular file, which alone is written: choose another name`,
    );
  }
  try {
    await writeFileAtomic(file, "", { tmpfileCreated: fill });
  } catch (error) {
    throw ioError("write", file, error);
  }
}
