import { DistilleryError } from "../errors.js";
import { SHORTAGES } from "../shortage.js";

const WHAT_TO_DO: Record<string, string> = {
  ...SHORTAGES,
  ENOENT: "its folder does not exist: make it first",
  ENOTDIR: "a part of its path is a file, not a folder",
  EEXIST: "a part of its path is a link that leads nowhere: remove it, or choose another place",
  EISDIR: "it is a folder: give the name of a file",
  EACCES: "permission denied: choose a place where you may",
  EPERM: "permission denied: choose a place where you may",
  EROFS: "the disk is read-only: choose another folder",
  ENOSPC: "the disk is full: free some space, or choose another folder",
  EDQUOT: "the disk quota is used up: free some space, or choose another folder",
  ENAMETOOLONG: "the name is too long: choose a shorter one",
};

/** The code of an error of the system, such as `ENOENT`; empty for other errors. */
export function errorCode(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "";
}

/** What the system refused, with the path and what to do: `NOT_FOUND` for reading what is not there. */
export function ioError(
  action: "read" | "write",
  path: string,
  error: unknown,
  kind: "file" | "folder" = "file",
): DistilleryError {
  const { code = "", message = String(error) } = error as { code?: string; message?: string };
  if (action === "read" && (code === "ENOENT" || code === "ENOTDIR")) {
    return new DistilleryError("NOT_FOUND", `${path}: no such ${kind}`, { cause: error });
  }
  return new DistilleryError("IO_ERROR", `${path}: can't ${action} it: ${WHAT_TO_DO[code] ?? message}`, {
    cause: error,
  });
}

/** The error of a data file that is damaged, foreign or does not fit the others. */
export function badData(file: string, problem: string, cause?: unknown): DistilleryError {
  return new DistilleryError("BAD_DATA", `${file}: ${problem}`, cause === undefined ? {} : { cause });
}

/** `BAD_DATA` for a file that does not have exactly the bytes that its header claims. */
export function expectSize(file: string, claimed: number, size: number): void {
  if (size < claimed) throw badData(file, `truncated: claims ${claimed} bytes, has ${size}`);
  if (size === claimed) return;
  throw badData(file, `claims ${claimed} bytes, but ${size - claimed} more follow at byte ${claimed}`);
}
