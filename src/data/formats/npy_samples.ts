import { badData } from "../../files/index.js";
import { native } from "../../native.js";
import { numel } from "../../tensor/shape.js";
import { NO_LABEL } from "../dataset.js";
import { looksLikeRegression } from "../labels.js";
import { featuresOf, MemoryRows, newRows, type RowData, type RowSource } from "../row_source.js";
import { targetText, wrongTarget } from "../targets.js";
import type { TaskName } from "../task_name.js";
import type { NpyArray, NpyData, NpyFile } from "./npy.js";

/** Samples, and what they are. */
export interface NpyRows {
  readonly rows: RowSource;
  readonly isImage: boolean;
  /** Whether they are the rows of a matrix of numbers, whose columns are standardised. */
  readonly isMatrix: boolean;
}

/**
 * The samples of an array: bytes are images, other numbers are values, flattened. `BAD_DATA` for one that is not
 * finite.
 */
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
    // Columns of a matrix stay in double precision until they are standardised.
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
      if (at >= 0)
        throw badData(
          this.where,
          `${location(at)}: ${data[at]} is too large: ${dtype} has every whole number only up to ${most}`,
        );
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

/**
 * What an array of labels is for, if nobody said it: whole numbers [n] are classes; many different ones that do not
 * follow each other, or fractions, a regression; 0 and 1 alone in [n, k] several labels; other numbers in [n, k] a
 * regression.
 */
export function taskOfArray(array: NpyArray, where: string): TaskName {
  const { shape } = array;
  const values = numbersOf(array);
  if (shape.length !== 2 || shape[1] === 1) {
    // NaN and infinities are refused when the labels are read as classes.
    if (!values.every(Number.isFinite)) return "classification";
    const different = [...new Set(values)].sort((a, b) => a - b);
    return looksLikeRegression(different, values.length, true) ? "regression" : "classification";
  }
  if (values.some((x) => x !== 0 && x !== 1)) return "regression";
  if (!mayBeOneHot(values, shape[1])) return "multi-label";
  const advice = "argmax(axis=1) makes classes of one-hot rows; --task multi-label takes them as labels";
  throw badData(where, `expected labels of shape [${shape[0]}], got [${shape.join(", ")}]: ${advice}`);
}

/** Whether no sample has two labels. */
function mayBeOneHot(values: Float64Array, width: number): boolean {
  for (let at = 0; at < values.length; at += width) {
    if (values.subarray(at, at + width).reduce((sum, x) => sum + x, 0) > 1) return false;
  }
  return true;
}

/** The targets [count, outputs] of an array [n] or [n, outputs]; `BAD_DATA` with the row of one that is none. */
export function toTargets(
  array: NpyArray,
  count: number,
  where: string,
  task: TaskName,
): { labels: Int32Array; targets: Float64Array; outputs: number } {
  const { shape } = array;
  const [length, outputs = 1] = shape;
  if (shape.length < 1 || shape.length > 2 || outputs === 0) {
    throw badData(where, `expected targets of shape [${count}] or [${count}, outputs], got [${shape.join(", ")}]`);
  }
  if (length !== count) throw badData(where, `expected ${count} rows of targets, one a sample, got ${length}`);
  const targets = numbersOf(array);
  const wrong = wrongTarget(targets, task);
  if (wrong >= 0) {
    const place = `row ${Math.floor(wrong / outputs)}, column ${wrong % outputs}`;
    throw badData(where, `${place}: expected ${targetText(task)}, got ${targets[wrong]}`);
  }
  return { labels: new Int32Array(count).fill(NO_LABEL), targets, outputs };
}

function numbersOf({ data }: NpyArray): Float64Array {
  const values = new Float64Array(data.length);
  for (let i = 0; i < values.length; i++) values[i] = Number(data[i]);
  return values;
}

const REGRESSION = ": --task regression takes numbers as targets";
/** What takes samples without labels. */
const BY_FLAG = "; --unlabelled takes -1 as no label";
/** What makes classes of any labels. */
export const BY_UNIQUE = "np.unique(y, return_inverse=True) numbers them from 0 on";

/** Classes from 0 out of an array [n] or [n, 1] of whole numbers, one for each sample. */
export function toLabels({ shape, data }: NpyArray, count: number, where: string, unlabelled = false): Int32Array {
  const [length, width = 1] = shape;
  if (shape.length < 1 || shape.length > 2 || width !== 1) {
    const advice = shape.length === 2 ? ": argmax(axis=1) makes classes of one-hot rows" : "";
    throw badData(where, `expected labels of shape [${count}], got [${shape.join(", ")}]${advice}`);
  }
  if (length !== count) throw badData(where, `expected ${count} labels, one a sample, got ${length}`);
  const labels = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const label = Number(data[i]);
    if (unlabelled && label === NO_LABEL) {
      labels[i] = NO_LABEL;
      continue;
    }
    if (!Number.isInteger(label) || label < 0 || label >= 2 ** 31 - 1) {
      const advice = Number.isInteger(label) ? `: ${BY_UNIQUE}` : Number.isFinite(label) ? REGRESSION : "";
      throw badData(
        where,
        `label ${i}: expected a class, a whole number from 0, got ${data[i]}${advice}${label === NO_LABEL ? BY_FLAG : ""}`,
      );
    }
    labels[i] = label;
  }
  return labels;
}
