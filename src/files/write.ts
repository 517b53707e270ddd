import { renameSync } from "node:fs";
import { stat, writeFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import writeFileAtomic from "write-file-atomic";
import { DistilleryError } from "../errors.js";
import { expectNotPrinted } from "./expect_not_printed.js";
import { errorCode, ioError } from "./file_errors.js";

/**
 * Writes a file whole or not at all: beside it, synced, then renamed. On failure what was there stays, nothing else is
 * left behind, and the error is `IO_ERROR` with the file's name and what to do. A pipe, socket or device is refused,
 * and what standard output goes to: the rename would replace it.
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
  expectNotPrinted(file);
  // What is made while it is written can't be written again.
  const isThere = typeof data === "string" || data instanceof Uint8Array;
  for (const start = performance.now(); ; ) {
    try {
      return await writeFileAtomic(file, "", { tmpfileCreated: fill });
    } catch (error) {
      if (!isThere || !isBusy(error, start)) throw ioError("write", file, error);
      await setTimeout(PAUSE_MS);
    }
  }
}

/** Writes a value as JSON that a person can read, as {@link writeWhole} does. */
export function writeJson(file: string, value: unknown): Promise<void> {
  return writeWhole(file, `${JSON.stringify(value, null, 2)}\n`);
}

/** Puts a file in the place of another, as `renameSync`. */
export function replaceFile(file: string, other: string): void {
  for (const start = performance.now(); ; ) {
    try {
      renameSync(file, other);
      return;
    } catch (error) {
      if (!isBusy(error, start)) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    }
  }
}

/** How long Windows may refuse to replace a file: a reader or a virus scanner has it open, mostly for milliseconds. */
const PATIENCE_MS = 1000;
const PAUSE_MS = 20;

function isBusy(error: unknown, start: number): boolean {
  const isRefused = process.platform === "win32" && ["EPERM", "EACCES", "EBUSY"].includes(errorCode(error));
  return isRefused && performance.now() - start < PATIENCE_MS;
}
