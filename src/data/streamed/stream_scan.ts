import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { badData } from "../../files/index.js";
import { native } from "../../native.js";
import { momentsOf, PixelCounts } from "../statistics.js";
import type { RowFormat } from "./stream_formats.js";

/** What one reading of all rows finds. */
export interface Scan {
  readonly labels: Int32Array;
  /** Of bytes: the mean and the deviation of each channel's pixels, scaled to [0, 1]; null where they are not asked for. */
  readonly moments: readonly { mean: number; std: number }[] | null;
  /** SHA-256 in hex over the rows. */
  readonly sha256: string;
}

/**
 * Reads all rows, so many at a time; `BAD_DATA` with the place of a number that is not finite or of a wrong class.
 * `measured`: the ascending rows whose bytes are counted for the moments; null: none.
 */
export async function scan(format: RowFormat, rowsAtOnce: number, measured: Int32Array | null): Promise<Scan> {
  const { files, type, image } = format;
  const { length, stride } = files;
  const hash = createHash("sha256");
  const labels = format.labels ?? new Int32Array(length);
  const channels = Array.from({ length: image?.channels ?? 1 }, () => new PixelCounts());
  const chunk = new Uint8Array(Math.min(rowsAtOnce, length) * stride);
  let counted = 0;
  for (let start = 0; start < length; start += rowsAtOnce) {
    const bytes = chunk.subarray(0, Math.min(rowsAtOnce, length - start) * stride);
    files.read(start, bytes);
    hash.update(bytes);
    if (format.labels === null) takeLabels(format, start, bytes, labels);
    if (type === "f4") expectFinite(format, start, bytes);
    else if (measured !== null) {
      const from = counted;
      while ((measured[counted] ?? Infinity) < start + rowsAtOnce) counted++;
      countPixels(format, start, bytes, measured.subarray(from, counted), channels);
    }
    await setImmediate();
  }
  const moments = measured !== null && type === "u1" ? channels.map(({ counts }) => momentsOf(counts)) : null;
  return { labels, moments, sha256: hash.digest("hex") };
}

function takeLabels({ files, skip, classes }: RowFormat, start: number, bytes: Uint8Array, labels: Int32Array): void {
  for (let row = 0; row * files.stride < bytes.length; row++) {
    const label = bytes[row * files.stride + skip - 1] as number;
    if (classes !== null && label >= classes) {
      const { path, byte } = files.placeOf(start + row);
      throw badData(path, `byte ${byte + skip - 1}: expected a class from 0 to ${classes - 1}, got ${label}`);
    }
    labels[start + row] = label;
  }
}

function expectFinite({ files, features }: RowFormat, start: number, bytes: Uint8Array): void {
  const values = new Float32Array(bytes.buffer, 0, bytes.length / 4);
  const at = native.firstNonFinite(values);
  if (at < 0) return;
  const [row, column] = [start + Math.floor(at / features), at % features];
  throw badData(files.placeOf(row).path, `row ${row}, column ${column}: expected a finite number, got ${values[at]}`);
}

function countPixels(
  { files, skip, features }: RowFormat,
  start: number,
  bytes: Uint8Array,
  rows: Int32Array,
  channels: readonly PixelCounts[],
): void {
  const plane = features / channels.length;
  for (const row of rows) {
    const at = (row - start) * files.stride + skip;
    for (const [i, channel] of channels.entries()) channel.add(bytes, at + i * plane, at + (i + 1) * plane);
  }
}
