import { readdir, readFile, stat } from "node:fs/promises";
import { DistilleryError } from "../errors.js";

/** What Node.js reads in one go. */
const MAX_FILE_BYTES = 2 ** 31 - 1;

/** The names of all but folders in a folder; `NOT_FOUND` where there is no such folder. */
export async function listFiles(folder: string): Promise<Set<string>> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw readError(folder, "folder", error);
  });
  // Some archives of MNIST unpack into folders that are named as the files are.
  return new Set(entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name));
}

/** The bytes of a regular file; `NOT_FOUND` or `IO_ERROR` with its name otherwise. */
export async function readData(file: string): Promise<Uint8Array> {
  const status = await stat(file).catch((error: unknown) => {
    throw readError(file, "file", error);
  });
  // Asked before opening: a pipe would wait and a device might never end.
  if (!status.isFile()) throw new DistilleryError("IO_ERROR", `${file}: is not a regular file`);
  if (status.size > MAX_FILE_BYTES) {
    throw new DistilleryError("IO_ERROR", `${file}: ${status.size} bytes; at most ${MAX_FILE_BYTES} can be read`);
  }
  const { buffer, byteOffset, byteLength } = await readFile(file).catch((error: unknown) => {
    throw readError(file, "file", error);
  });
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function readError(path: string, kind: "file" | "folder", cause: unknown): DistilleryError {
  const { code = "", message = String(cause) } = cause as { code?: string; message?: string };
  if (code === "ENOENT" || code === "ENOTDIR")
    return new DistilleryError("NOT_FOUND", `${path}: no such ${kind}`, { cause });
  const reason = code === "EACCES" || code === "EPERM" ? "permission denied" : message;
  return new DistilleryError("IO_ERROR", `${path}: can't read it: ${reason}`, { cause });
}
