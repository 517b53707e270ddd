import { badData } from "../files/index.js";
import { native } from "../native.js";
import type { ValueLayout } from "./dataset.js";
import { newRows, type RowData, type RowSource, visitRows } from "./row_source.js";

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
 * Measures each column over the rows with these ascending indices, `step` rows at a time. `visit` is shown all rows on
 * the first of the two passes.
 */
export async function measureColumns(
  rows: RowSource,
  indices: Int32Array,
  step: number,
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
  await visitRows(rows, step, [add, ...visit]);
  const means = sums.map((sum, c) => sum / count[c]);
  const square = forEachRow((data, at) => {
    for (let c = 0; c < width; c++) {
      const distance = data[at + c] - first[c];
      if (Number.isNaN(distance)) continue;
      squares[c] += (distance - means[c]) ** 2;
      if (distance !== 0) same[c] = 0;
    }
  });
  await visitRows(rows, step, [square]);
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
