import { argumentError, expectNumber } from "../checks.js";
import { badData } from "../files/index.js";
import { native } from "../native.js";
import type { ValueLayout } from "./dataset.js";
import { newRows, type RowData, type RowSource, visitRows } from "./row_source.js";

/** Pixels, scaled to [0, 1], become (pixel - mean) / std: one number, or one for each channel. */
export interface Normalisation {
  readonly mean: number | readonly number[];
  readonly std: number | readonly number[];
}

/**
 * The mean and the population's standard deviation of the pixels of each channel, scaled to [0, 1], over the images [n,
 * channels, pixels of a plane] with these ascending indices. The images come part after part. If all pixels are equal
 * `std` is 1, so that they become 0.
 */
export class ChannelStatistics {
  readonly #channels: readonly PixelCounts[];
  #next = 0;

  constructor(
    channels: number,
    private readonly features: number,
    private readonly indices: Int32Array,
  ) {
    this.#channels = Array.from({ length: channels }, () => new PixelCounts());
  }

  /** Counts those of the images `start` to `end` (not included) that are measured. */
  add(pixels: Uint8Array, start: number, end: number): void {
    const plane = this.features / this.#channels.length;
    for (; this.#next < this.indices.length && this.indices[this.#next] < end; this.#next++) {
      const at = (this.indices[this.#next] - start) * this.features;
      for (const [i, counts] of this.#channels.entries()) counts.add(pixels, at + i * plane, at + (i + 1) * plane);
    }
  }

  /** One number if there is one channel, otherwise one for each. */
  normalisation(): Normalisation {
    const moments = this.#channels.map(({ counts }) => momentsOf(counts));
    if (moments.length === 1) return moments[0];
    return { mean: moments.map(({ mean }) => mean), std: moments.map(({ std }) => std) };
  }
}

/** The mean and deviation of pixels that are counted by their value. */
function momentsOf(counts: Float64Array): { mean: number; std: number } {
  const total = counts.reduce((a, b) => a + b);
  const average = (of: (pixel: number) => number) =>
    counts.reduce((sum, count, pixel) => sum + count * of(pixel), 0) / total;
  const mean = average((pixel) => pixel) / 255;
  const std = Math.sqrt(average((pixel) => (pixel / 255 - mean) ** 2));
  return { mean, std: counts.some((count) => count === total) ? 1 : std };
}

/** How often each value from 0 to 255 is among bytes that come in parts: whole numbers, which add up exactly. */
export class PixelCounts {
  /** Four tables in turn: a table that counts the same value again waits for its last addition. */
  readonly #tables = new Float64Array(4 * 256);

  /** Counts the bytes `start` to `end` (not included). */
  add(bytes: Uint8Array, start: number, end: number): void {
    const tables = this.#tables;
    const last = end - ((end - start) % 4);
    for (let at = start; at < last; at += 4) {
      const a = bytes[at];
      const b = 256 + bytes[at + 1];
      const c = 512 + bytes[at + 2];
      const d = 768 + bytes[at + 3];
      tables[a] = tables[a] + 1;
      tables[b] = tables[b] + 1;
      tables[c] = tables[c] + 1;
      tables[d] = tables[d] + 1;
    }
    for (let at = last; at < end; at++) {
      const pixel = bytes[at];
      tables[pixel] = tables[pixel] + 1;
    }
  }

  /** By value. */
  get counts(): Float64Array {
    const tables = this.#tables;
    const sum = (pixel: number) => [0, 256, 512, 768].reduce((all, table) => all + tables[table + pixel], 0);
    return Float64Array.from({ length: 256 }, (_, pixel) => sum(pixel));
  }
}

/** A mean and a deviation for each channel, by which pixels stay finite in float32. */
export function expectNormalisation({ mean, std }: Normalisation, channels: number) {
  const means = expectChannels("mean", mean, channels, (x) => isFloat(x), "a finite number of float32's range");
  const deviations = expectChannels("std", std, channels, (x) => Math.fround(x) > 0, "a number above 0");
  for (const [channel, deviation] of deviations.entries()) {
    if ([0, 1].every((pixel) => isFloat((pixel - means[channel]) / deviation))) continue;
    const text = `expected numbers by which pixels stay finite, got ${means[channel]} and ${deviation}`;
    throw argumentError("mean, std", text);
  }
  return { mean: means, std: deviations };
}

function isFloat(x: number): boolean {
  return Number.isFinite(Math.fround(x));
}

/** A number for each channel. */
function expectChannels(
  name: string,
  value: number | readonly number[],
  channels: number,
  ok: (x: number) => boolean,
  expected: string,
): number[] {
  if (!Array.isArray(value)) return new Array<number>(channels).fill(expectNumber(name, value, ok, expected));
  if (value.length !== channels) {
    const text = `expected ${channels} numbers, one a channel, got ${value.length}`;
    throw argumentError(name, text);
  }
  return value.map((x, channel) => expectNumber(`${name}[${channel}]`, x, ok, expected));
}

type Given = { readonly [K in keyof Normalisation]?: Normalisation[K] | undefined };

/** Refuses a mean without a deviation, and the other way round; `BAD_ARGUMENT`. */
export function expectBothOrNone({ mean, std }: Given): void {
  if ((mean === undefined) === (std === undefined)) return;
  throw argumentError("mean, std", "expected both or none, got one of them");
}

/**
 * The mean and deviation that pixels are normalised with, as they were given: one number, or one for each channel.
 * Undefined if none were.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for another number of them than one or the channels, and other data than
 * bytes.
 */
export function givenNormalisation(
  { rows, isImage = true }: { readonly rows: RowSource; readonly isImage?: boolean },
  { mean, std }: Given,
): Normalisation | undefined {
  if (mean === undefined || std === undefined) return undefined;
  if (rows.dtype !== "uint8") {
    const text = "expected them for bytes only: the columns of numbers have their own";
    throw argumentError("mean, std", text);
  }
  const channels = isImage ? rows.shape[0] : 1;
  return expectNormalisation({ mean: spread(mean, channels), std: spread(std, channels) }, channels);
}

/** A list of one number is for all channels. */
function spread(given: number | readonly number[], channels: number): number | readonly number[] {
  return typeof given !== "number" && given.length === 1 ? new Array<number>(channels).fill(given[0]) : given;
}

/** What the columns of a matrix are like over the rows that were measured; NaN counts as missing. */
interface ColumnStatistics {
  /** By column; NaN if all cells are missing. */
  readonly mean: Float64Array;
  /** The population's standard deviation; 1 if all numbers are equal, so that they become 0. */
  readonly std: Float64Array;
  /** The cells that are not missing. */
  readonly count: Float64Array;
}

/**
 * Measures each column over the rows with these ascending indices. `visit` is shown all rows on the first of the two
 * passes.
 */
export async function measureColumns(
  rows: RowSource,
  indices: Int32Array,
  visit: readonly ((data: RowData) => void)[],
): Promise<ColumnStatistics> {
  const [width] = rows.shape;
  const [first, sums, squares, count] = Array.from({ length: 4 }, () => new Float64Array(width));
  const same = new Uint8Array(width).fill(1);
  first.fill(Number.NaN);
  const forEachRow = (change: (data: RowData, at: number) => void) => {
    let next = 0;
    return (data: RowData, start: number, end: number) => {
      for (; next < indices.length && indices[next] < end; next++) change(data, (indices[next] - start) * width);
    };
  };
  const add = forEachRow((data, at) => {
    for (let c = 0; c < width; c++) {
      const x = data[at + c];
      if (Number.isNaN(x)) continue;
      // Distances from the first: whole numbers far from 0 keep their digits.
      if (Number.isNaN(first[c])) first[c] = x;
      sums[c] += x - first[c];
      count[c]++;
    }
  });
  await visitRows(rows, [add, ...visit]);
  const means = sums.map((sum, c) => sum / count[c]);
  const square = forEachRow((data, at) => {
    for (let c = 0; c < width; c++) {
      const distance = data[at + c] - first[c];
      if (Number.isNaN(distance)) continue;
      squares[c] += (distance - means[c]) ** 2;
      if (distance !== 0) same[c] = 0;
    }
  });
  await visitRows(rows, [square]);
  const deviations = squares.map((sum, c) => Math.sqrt(sum / count[c]));
  return {
    mean: means.map((mean, c) => first[c] + mean),
    std: deviations.map((std, c) => (same[c] === 1 || std === 0 ? 1 : std)),
    count,
  };
}

/** How much of a deviation float32 may lose, at most. */
const LOSS_MAX = 1e-3;

/**
 * The first column whose numbers float32 can't tell apart: of a mean far from 0 and a small deviation, such as times in
 * seconds; -1: none.
 */
export function firstRounded({ mean, std }: ValueLayout): number {
  return mean.findIndex((mean, i) => Math.abs(mean) * 2 ** -24 > LOSS_MAX * std[i]);
}

/** Why a column can't be standardised by these; null if it can. */
export function unfitText(mean: number, std: number): string | null {
  if (!Number.isFinite(mean) || !Number.isFinite(std)) return "its numbers are too large to be standardised";
  // Networks divide by it in single precision.
  return Math.fround(std) > 0 ? null : "its numbers are too close to each other to be standardised";
}

/** The rows of a matrix, each number made (x - mean) / std of its column. */
export class StandardizedRows implements RowSource {
  readonly dtype = "float32";
  readonly length: number;
  readonly shape: readonly number[];

  constructor(
    private readonly rows: RowSource,
    private readonly layout: ValueLayout,
    private readonly source: string,
  ) {
    this.length = rows.length;
    this.shape = rows.shape;
  }

  read(start: number, end: number, into: RowData = newRows(this, end - start)): RowData {
    const { mean, std } = this.layout;
    const width = mean.length;
    const cells = this.rows.read(start, end);
    for (let at = 0; at < into.length; at += width) {
      for (let c = 0; c < width; c++) into[at + c] = (cells[at + c] - mean[c]) / std[c];
    }
    const wrong = native.firstNonFinite(into as Float32Array);
    if (wrong < 0) return into;
    const place = `row ${start + Math.floor(wrong / width)}, column ${wrong % width}`;
    throw badData(this.source, `${place}: ${cells[wrong]} becomes a number beyond float32's range`);
  }
}
