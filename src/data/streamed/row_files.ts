import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { stat } from "node:fs/promises";
import { DistilleryError } from "../../errors.js";
import { badData, ioError } from "../../files/index.js";

/** Rows of equal length in a file, behind its header. */
export interface RowFile {
  readonly path: string;
  /** Where the first row begins. */
  readonly offset: number;
  readonly rows: number;
  /** As it was when it was opened: it must not change. */
  readonly status: FileStatus;
}

/** What tells one content of a file from another. */
export interface FileStatus {
  readonly size: number;
  readonly mtimeMs: number;
}

/** The size and time of a regular file; `NOT_FOUND` or `IO_ERROR` otherwise. */
export async function statusOf(path: string): Promise<FileStatus> {
  const status = await stat(path).catch((error: unknown) => {
    throw ioError("read", path, error);
  });
  if (!status.isFile()) throw new DistilleryError("IO_ERROR", `${path}: is not a regular file`);
  return { size: status.size, mtimeMs: status.mtimeMs };
}

/** The first bytes of a file, `length` of them or all. */
export function readHead(path: string, length: number): Uint8Array {
  const head = new Uint8Array(length);
  return head.subarray(
    0,
    withFile(path, (file) => readFully(file, head, 0)),
  );
}

/** The rows of files, one file after the other. Each reading opens its file: nothing has to be closed. */
export class RowFiles {
  readonly files: readonly RowFile[];
  /** The bytes of a row. */
  readonly stride: number;
  readonly length: number;

  constructor(files: readonly RowFile[], stride: number) {
    this.files = files;
    this.stride = stride;
    this.length = files.reduce((sum, { rows }) => sum + rows, 0);
  }

  /** The file that a row stands in, and its first byte there. */
  placeOf(row: number): { path: string; byte: number } {
    let first = 0;
    for (const { path, offset, rows } of this.files) {
      if (row < first + rows) return { path, byte: offset + (row - first) * this.stride };
      first += rows;
    }
    return { path: "", byte: 0 };
  }

  /** Fills `into` with the rows from `start` on. */
  read(start: number, into: Uint8Array): void {
    let [first, filled] = [0, 0];
    for (const file of this.files) {
      const from = start + filled / this.stride - first;
      if (from < file.rows && filled < into.length) {
        const part = into.subarray(filled, filled + Math.min(into.length - filled, (file.rows - from) * this.stride));
        this.#readPart(file, from, part);
        filled += part.length;
      }
      first += file.rows;
    }
  }

  #readPart({ path, offset, status }: RowFile, from: number, into: Uint8Array): void {
    withFile(path, (file) => {
      const { size, mtimeMs } = fstatSync(file);
      if (size !== status.size || mtimeMs !== status.mtimeMs) throw badData(path, "changed since it was opened");
      const at = offset + from * this.stride;
      const read = readFully(file, into, at);
      if (read < into.length) throw badData(path, `truncated: ends at byte ${at + read}`);
    });
  }
}

function withFile<T>(path: string, body: (file: number) => T): T {
  let file: number | null = null;
  try {
    file = openSync(path, "r");
    return body(file);
  } catch (error) {
    throw error instanceof DistilleryError ? error : ioError("read", path, error);
  } finally {
    if (file !== null) closeSync(file);
  }
}

/** Reads until the array is full or the file ends. */
function readFully(file: number, into: Uint8Array, at: number): number {
  let filled = 0;
  while (filled < into.length) {
    const read = readSync(file, into, filled, into.length - filled, at + filled);
    if (read === 0) break;
    filled += read;
  }
  return filled;
}
