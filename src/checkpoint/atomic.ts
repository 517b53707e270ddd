import { writeFile } from "node:fs/promises";
import writeFileAtomic from "write-file-atomic";
import { DistilleryError } from "../errors.js";

const WHAT_TO_DO: Record<string, string> = {
  ENOENT: "its folder does not exist: make it first",
  ENOTDIR: "a part of its path is a file, not a folder",
  EISDIR: "it is a folder: give the name of a file",
  EACCES: "permission denied: choose a folder that you may write to",
  EPERM: "permission denied: choose a folder that you may write to",
  EROFS: "the disk is read-only: choose another folder",
  ENOSPC: "the disk is full: free some space, or choose another folder",
  EDQUOT: "the disk quota is used up: free some space, or choose another folder",
  ENAMETOOLONG: "the name is too long: choose a shorter one",
};

/**
 * Writes a file whole or not at all: beside it, synced, then renamed. On failure what was there stays, nothing else is
 * left behind, and the error is `IO_ERROR` with the file's name and what to do.
 */
export async function writeWhole(file: string, data: Uint8Array | string): Promise<void> {
  // The package's own write does not look at how much was written, and would rename what a full disk cut short.
  const fill = (temporary: string) => writeFile(temporary, data);
  try {
    await writeFileAtomic(file, "", { tmpfileCreated: fill });
  } catch (error) {
    throw ioError("write", file, error);
  }
}

/** What the system refused, with the file's name and what to do: `NOT_FOUND` for reading what is not there. */
export function ioError(action: "read" | "write", file: string, error: unknown): DistilleryError {
  const { code = "", message = String(error) } = error as { code?: string; message?: string };
  if (action === "read" && (code === "ENOENT" || code === "ENOTDIR")) {
    return new DistilleryError("NOT_FOUND", `${file}: no such file`, { cause: error });
  }
  return new DistilleryError("IO_ERROR", `${file}: can't ${action} it: ${WHAT_TO_DO[code] ?? message}`, {
    cause: error,
  });
}
