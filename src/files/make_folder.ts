import { mkdirSync, statSync } from "node:fs";
import { dirname, isAbsolute, resolve } from "node:path";
import { DistilleryError } from "../errors.js";
import { errorCode, ioError } from "./file_errors.js";

/**
 * Makes a folder and those above it. Not by Node's own `recursive`, which tries for ever where the system makes no
 * folder: in /proc, and in a working folder that is gone.
 *
 * @throws DistilleryError `IO_ERROR` with the name of the folder, or of the `file` that is to be in it.
 */
export function makeFolder(path: string, file = path): void {
  const missing: string[] = [];
  let at = absolute(path, file);
  try {
    while (!isFolder(at)) {
      missing.push(at);
      at = dirname(at);
    }
    for (const folder of missing.reverse()) makeOne(folder);
  } catch (error) {
    const isRefused = errorCode(error) === "ENOENT";
    if (!isRefused) throw ioError("write", file, error, "folder");
    throw new DistilleryError("IO_ERROR", `${file}: the system makes no folder there: choose another`, {
      cause: error,
    });
  }
}

function absolute(path: string, file: string): string {
  if (isAbsolute(path)) return resolve(path);
  try {
    const folder = process.cwd();
    if (isFolder(folder)) return resolve(folder, path);
  } catch {}
  throw new DistilleryError("IO_ERROR", `${file}: the working folder is gone: change to one that exists`);
}

function isFolder(path: string): boolean {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined || status.isDirectory()) return status !== undefined;
  throw Object.assign(new Error("a part of the path is a file"), { code: "ENOTDIR" });
}

/** Another process may make it at the same time. */
function makeOne(folder: string): void {
  try {
    mkdirSync(folder);
  } catch (error) {
    if (errorCode(error) !== "EEXIST" || !isFolder(folder)) throw error;
  }
}
