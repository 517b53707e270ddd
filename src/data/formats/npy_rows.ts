import { badData } from "../../files/index.js";
import { native } from "../../native.js";
import { numel } from "../../tensor/shape.js";
import { featuresOf, MemoryRows, newRows, type RowData, type RowSource } from "../row_source.js";
import type { NpyArray, NpyData, NpyFile } from "./npy.js";

/** Samples, and what they are. */
export interface NpyRows {
  readonly rows: RowSource;
  readonly isImage: boolean;
  /** Whether they are the rows of a matrix of numbers, whose columns are standardised. */
  readonly isMatrix: boolean;
}

/** The samples of an array: bytes are images, other numbers are values, flattened. `BAD_DATA` for one that is not finite. */
export function toRows({ type, shape, data }: NpyArray, where: string): NpyRows {
  const layout = sampleLayout(type, shape, where);
  const kind = { isImage: layout.isImage, isMatrix: layout.isMatrix };
  const rows = new ConvertedRows({ type, shape, read: (start, end) => slice(data, shape, start, end) }, layout, where);
  if (type === "u1" && !layout.isLast) return { rows: new MemoryRows(data as Uint8Array, layout.shape), ...kind };
  return { rows: new MemoryRows(rows.read(0, rows.length), layout.shape), ...kind };
}

/** The same of an array that stays in its file. */
export function streamRows(array: NpyFile, where: string): NpyRows {
  const layout = sampleLayout(array.type, array.shape, where);
  return { rows: new ConvertedRows(array, layout, where), isImage: layout.isImage, isMatrix: layout.isMatrix };
}

function slice(data: NpyData, shape: readonly number[], start: number, end: number): NpyData {
  const size = data.length / shape[0];
  return data.subarray(start * size, end * size);
}

interface SampleLayout {
  /** That of a sample. */
  readonly shape: readonly number[];
  /** Whether the channels come last in the array. */
  readonly isLast: boolean;
  readonly isImage: boolean;
  /** Whether the array has two axes of numbers. */
  readonly isMatrix: boolean;
}

/** [n, height, width], [n, height, width, channels] and [n, channels, height, width] in bytes are images. */
function sampleLayout(type: string, shape: readonly number[], where: string): SampleLayout {
  if (shape.length < 2) {
    throw badData(where, `expected [n, features] or more axes, got a shape of [${shape.join(", ")}]`);
  }
  const [, a, b, c] = shape;
  const flat = [numel(shape.slice(1))];
  if (type !== "u1") return { shape: flat, isLast: false, isImage: false, isMatrix: shape.length === 2 };
  if (shape.length === 3) return { shape: [1, a, b], isLast: false, isImage: true, isMatrix: false };
  if (shape.length === 4 && (c === 1 || c === 3))
    return { shape: [c, a, b], isLast: c > 1, isImage: true, isMatrix: false };
  if (shape.length === 4 && (a === 1 || a === 3))
    return { shape: [a, b, c], isLast: false, isImage: true, isMatrix: false };
  return { shape: shape.slice(1), isLast: false, isImage: false, isMatrix: false };
}

/** The largest numbers up to which the types have every whole one. */
const MAX_WHOLE = { float32: 2 ** 24, float64: 2 ** 53 };

/** The samples of an array, made bytes in planes or numbers. */
class ConvertedRows implements RowSource {
  readonly length: number;
  readonly shape: readonly number[];
  readonly dtype: RowSource["dtype"];

  constructor(
    private readonly array: NpyFile,
    private readonly layout: SampleLayout,
    private readonly where: string,
  ) {
    this.length = array.shape[0];
    this.shape = layout.shape;
    // What is standardised is made float32 afterwards.
    const isWide = layout.isMatrix && array.type !== "f4";
    this.dtype = array.type === "u1" ? "uint8" : isWide ? "float64" : "float32";
  }

  read(start: number, end: number, into: RowData = newRows(this, end - start)): RowData {
    const data = this.array.read(start, end);
    if (this.layout.isLast) toPlanes(data as Uint8Array, this.shape, into);
    else if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
      for (let i = 0; i < into.length; i++) into[i] = Number(data[i]);
    } else into.set(data);
    if (this.dtype !== "uint8") this.#expectFinite(data, into, start);
    return into;
  }

  #expectFinite(data: NpyData, values: RowData, first: number): void {
    const features = featuresOf(this);
    const location = (at: number) => `row ${first + Math.floor(at / features)}, column ${at % features}`;
    const dtype = this.dtype as keyof typeof MAX_WHOLE;
    if (!this.array.type.startsWith("f")) {
      const most = MAX_WHOLE[dtype];
      const at = data.findIndex((x: number | bigint) => x > most || x < -most);
      if (at >= 0) throw badData(this.where, `${location(at)}: ${data[at]} is more than ${dtype} has exactly, ${most}`);
    }
    const at = values instanceof Float32Array ? native.firstNonFinite(values) : firstNonFinite(values);
    if (at < 0) return;
    throw badData(this.where, `${location(at)}: expected a finite number of ${dtype}'s range, got ${data[at]}`);
  }
}

/** By index: several times faster than a callback. */
function firstNonFinite(values: RowData): number {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return i;
  return -1;
}

/** [n, height, width, channels] becomes [n, channels, height, width]. */
function toPlanes(pixels: Uint8Array, [channels, height, width]: readonly number[], planes: RowData): void {
  const plane = height * width;
  for (let start = 0; start < pixels.length; start += channels * plane) {
    for (let channel = 0; channel < channels; channel++) {
      for (let i = 0; i < plane; i++) planes[start + channel * plane + i] = pixels[start + i * channels + channel];
    }
  }
}
