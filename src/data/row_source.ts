import { types } from "node:util";
import { DistilleryError } from "../errors.js";
import { readSlice, type SlicedFile } from "../files/index.js";
import { turns } from "../slices.js";
import { numel } from "../tensor/shape.js";

/** The values of rows: pixels in bytes, numbers, or the cells of a table. */
export type RowData = Uint8Array | Float32Array | Float64Array;

/** Samples of one shape that are read in ranges, from files or from memory. What is read is valid. */
export interface RowSource {
  /** The number of samples. */
  readonly length: number;
  /** The shape of one: [channels, height, width], [features], or [columns] of a table. */
  readonly shape: readonly number[];
  readonly dtype: "uint8" | "float32" | "float64";
  /**
   * The rows `start` to `end` (not included), in `into` if that is given. Otherwise they may be a view of the source's
   * own memory. `BAD_DATA` with the location of a value that is wrong.
   */
  read(start: number, end: number, into?: RowData): RowData;
}

/** Rows in memory; a range is a view. */
export class MemoryRows implements RowSource {
  readonly length: number;
  readonly dtype: RowSource["dtype"];

  constructor(
    readonly data: RowData,
    readonly shape: readonly number[],
  ) {
    this.length = data.length / featuresOf(this);
    this.dtype = types.isUint8Array(data) ? "uint8" : types.isFloat32Array(data) ? "float32" : "float64";
  }

  read(start: number, end: number, into?: RowData): RowData {
    const features = featuresOf(this);
    const part = this.data.subarray(start * features, end * features);
    if (into === undefined) return part;
    into.set(part);
    return into;
  }
}

/** Records of equal size in files, one file after the other, each behind its header. */
export class FileRecords {
  readonly length: number;

  constructor(
    readonly files: readonly { readonly file: SlicedFile; readonly offset: number; readonly records: number }[],
    /** The bytes of a record. */
    readonly stride: number,
  ) {
    this.length = files.reduce((sum, { records }) => sum + records, 0);
  }

  /** The file that a record is in, and its first byte there. */
  locationOf(record: number): { path: string; byte: number } {
    let first = 0;
    for (const { file, offset, records } of this.files) {
      if (record < first + records) return { path: file.path, byte: offset + (record - first) * this.stride };
      first += records;
    }
    throw new RangeError(`record ${record} of ${this.length}`);
  }

  /** Fills `into` with the records from `start` on. */
  read(start: number, into: Uint8Array): void {
    let [first, filled] = [0, 0];
    for (const { file, offset, records } of this.files) {
      const from = start + filled / this.stride - first;
      if (from < records && filled < into.length) {
        const part = into.subarray(filled, filled + Math.min(into.length - filled, (records - from) * this.stride));
        readSlice(file, offset + from * this.stride, part);
        filled += part.length;
      }
      first += records;
    }
  }
}

/** Makes the bytes of records, the first of which has this number, into values. */
type DecodeRecords = (bytes: Uint8Array, first: number, out: RowData) => void;

/** Rows in records of files; without `decode` the bytes are the values. */
export class RecordRows implements RowSource {
  constructor(
    readonly records: FileRecords,
    readonly shape: readonly number[],
    readonly dtype: "uint8" | "float32",
    private readonly decode?: DecodeRecords,
  ) {}

  get length(): number {
    return this.records.length;
  }

  read(start: number, end: number, into: RowData = newRows(this, end - start)): RowData {
    const bytes =
      this.decode === undefined ? (into as Uint8Array) : new Uint8Array((end - start) * this.records.stride);
    this.records.read(start, bytes);
    this.decode?.(bytes, start, into);
    return into;
  }
}

/** The number of values of a row. */
export function featuresOf({ shape }: Pick<RowSource, "shape">): number {
  return numel(shape);
}

/** How many rows have their values in this many bytes; at least one. */
export function rowsWithin(rows: RowSource, bytes: number): number {
  const ofOne = featuresOf(rows) * { uint8: 1, float32: 4, float64: 8 }[rows.dtype];
  return Math.max(1, Math.floor(bytes / ofOne));
}

/** Memory for a number of rows. */
export function newRows(rows: RowSource, count: number): RowData {
  const size = count * featuresOf(rows);
  if (rows.dtype === "uint8") return new Uint8Array(size);
  return rows.dtype === "float32" ? new Float32Array(size) : new Float64Array(size);
}

/** The values, or a copy of them with room for at least this many. */
export function withRoom<T extends RowData>(values: T, least: number): T {
  if (values.length >= least) return values;
  const larger = new (values.constructor as new (length: number) => T)(Math.max(least, 2 * values.length));
  larger.set(values);
  return larger;
}

/** Bytes that are read before other work gets its turn. */
const TURN = 2 ** 20;

/** All rows in memory; those of {@link MemoryRows} are not copied. */
export async function materialize(rows: RowSource, source: string): Promise<MemoryRows> {
  if (rows instanceof MemoryRows) return rows;
  const features = featuresOf(rows);
  let data: RowData;
  try {
    data = newRows(rows, rows.length);
  } catch (error) {
    const text = `${rows.length} samples of ${features} values do not fit into memory: stream (--stream) leaves them on the disk`;
    throw new DistilleryError("BAD_ARGUMENT", `${source}: ${text}`, { cause: error });
  }
  for await (const [start, end] of turns(rows.length, rowsWithin(rows, TURN))) {
    rows.read(start, end, data.subarray(start * features, end * features));
  }
  return new MemoryRows(data, rows.shape);
}

/** Shows all rows to each visitor, part after part. */
export async function visitRows(
  rows: RowSource,
  visitors: readonly ((data: RowData, start: number, end: number) => void)[],
): Promise<void> {
  if (visitors.length === 0) return;
  const step = rowsWithin(rows, TURN);
  const buffer = rows instanceof MemoryRows ? undefined : newRows(rows, Math.min(step, rows.length));
  for await (const [start, end] of turns(rows.length, step)) {
    const data = rows.read(start, end, buffer?.subarray(0, (end - start) * featuresOf(rows)));
    for (const visit of visitors) visit(data, start, end);
  }
}
