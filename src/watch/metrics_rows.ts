import type { Stats } from "node:fs";
import { readSlice } from "../files/index.js";
import { type EpochRecord, recordOfRow } from "../log/epoch_record.js";

/** Larger files are ignored: the library does not write any. */
export const MAX_BYTES = 2 ** 26;
const NEWLINE = 10;

/** The complete rows of a run's metrics that were read so far. */
export interface MetricsRows {
  readonly records: readonly EpochRecord[];
  /** Changes if the file does. */
  readonly stamp: string;
  readonly inode: number;
  /** Where the next row begins. */
  readonly end: number;
  /** The bytes of the row before. */
  readonly last: Uint8Array;
}

const NONE: MetricsRows = { records: [], stamp: "", inode: 0, end: 0, last: new Uint8Array(0) };

/**
 * The rows of a file. If it grew since `before`, only the new rows are read; if it was replaced or truncated, all. A
 * file that does not exist, is a link or is too large has none. The last row may be incomplete: a process is writing
 * it, or died while it did.
 */
export function readRows(path: string, status: Stats | undefined, before: MetricsRows = NONE): MetricsRows {
  const { ino: inode = 0, size = 0, mtimeMs = 0 } = status ?? {};
  const stamp = status === undefined ? "" : `${inode} ${size} ${mtimeMs}`;
  if (stamp === before.stamp) return before;
  if (!status?.isFile() || size > MAX_BYTES) return { ...NONE, stamp };
  const known = inode === before.inode && size >= before.end ? before : NONE;
  const start = known.end - known.last.length;
  const bytes = new Uint8Array(size - start);
  try {
    readSlice({ path, size, mtimeMs }, start, bytes);
  } catch {
    // The file is changing now and will be read at the next scan, or we may not read it.
    return before;
  }
  if (known.last.some((byte, i) => byte !== bytes[i])) return readRows(path, status);
  const end = bytes.lastIndexOf(NEWLINE) + 1;
  const lines = new TextDecoder().decode(bytes.subarray(known.last.length, end)).split("\n").slice(0, -1);
  const records = lines.map(recordOf).filter((record) => record !== null);
  const last = bytes.slice(bytes.lastIndexOf(NEWLINE, end - 2) + 1, end);
  return { records: [...known.records, ...records], stamp, inode, end: start + end, last };
}

function recordOf(line: string): EpochRecord | null {
  try {
    return recordOfRow(JSON.parse(line));
  } catch {
    return null;
  }
}
