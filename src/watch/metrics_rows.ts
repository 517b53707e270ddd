import type { Stats } from "node:fs";
import { readSlice } from "../files/index.js";
import { type EpochRecord, recordOfRow } from "../log/epoch_record.js";

/** A larger file is none of ours. */
export const MAX_BYTES = 2 ** 26;
const NEWLINE = 10;

/** A run's metrics as far as they were read: the rows that are whole. */
export interface MetricsRows {
  readonly records: readonly EpochRecord[];
  /** What tells whether the file changed. */
  readonly stamp: string;
  readonly inode: number;
  /** Where the next row begins. */
  readonly end: number;
  /** The bytes of the row before. */
  readonly last: Uint8Array;
}

const NONE: MetricsRows = { records: [], stamp: "", inode: 0, end: 0, last: new Uint8Array(0) };

/**
 * The rows of a file: of one that grew since `before` the new ones are read alone, of one that was replaced or cut off
 * all; of one that is not there, is a link, or is too large, none. A process may be writing the last
 * row, or have died there.
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
    // It changes now, and is read at the next look, or is not ours to read.
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
