import type { Batch, Dataset, ImageLayout, TableColumn } from "./dataset.js";
import { columnWidth, textColumnOf } from "./preprocessing/spec.js";

/**
 * A sample as it was before it became values: the cells of a table's row by the columns' names (null: missing), the bytes of an
 * image, channel after channel; otherwise the values as they are.
 */
export type RawSample = Readonly<Record<string, number | string | null>> | Uint8Array | Float32Array;

/** The samples that became the inputs of a batch: of numbers the shortest that becomes the same value, of texts, if it has them, these. */
export function samplesOf(data: Dataset, { inputs, texts }: Pick<Batch, "inputs" | "texts">): RawSample[] {
  const { image, table, values: layout } = data;
  const column = textColumnOf(data);
  if (column !== null && texts !== undefined) return texts().map((text) => ({ [column.name]: text }));
  const width = inputs.size / inputs.shape[0];
  return Array.from({ length: inputs.shape[0] }, (_, i): RawSample => {
    const values = inputs.data.slice(i * width, (i + 1) * width);
    if (image !== undefined) return Uint8Array.from(pixelsOf(values, image));
    if (table !== undefined) return cellsOf(values, table.columns);
    if (layout === undefined) return values;
    return values.map((value, c) => numberOf(value, layout.mean[c], layout.std[c]));
  });
}

/** The pixels, from 0 to 255, that became the values of images: whole numbers, unless noise was added to the values. */
export function pixelsOf(values: Float32Array, { channels, height, width, mean, std }: ImageLayout): Float64Array {
  const plane = height * width;
  return Float64Array.from(values, (value, i) => {
    const channel = Math.floor(i / plane) % channels;
    const pixel = 255 * (value * std[channel] + mean[channel]);
    const whole = Math.round(pixel);
    return Math.abs(pixel - whole) < 1e-2 ? whole : pixel;
  });
}

function cellsOf(values: Float32Array, columns: readonly TableColumn[]): Record<string, number | string | null> {
  let at = 0;
  const cells = columns.map((column): [string, number | string | null] => {
    const own = values.subarray(at, at + columnWidth(column));
    at += own.length;
    if ("categories" in column) return [column.name, column.categories[own.indexOf(1)] || null];
    if ("text" in column)
      return [column.name, `ids ${own.subarray(0, own.findLastIndex((id) => id !== 0) + 1).join(" ")}`];
    const isMissing = column.missing === "category" && own[1] === 1;
    return [column.name, isMissing ? null : numberOf(own[0], column.mean, column.std)];
  });
  return Object.fromEntries(cells);
}

/** The shortest number that (x - mean) / std makes the value. */
function numberOf(value: number, mean: number, std: number): number {
  const x = value * std + mean;
  for (let digits = 1; digits <= 15; digits++) {
    const short = Number(x.toPrecision(digits));
    if (Math.fround((short - mean) / std) === value) return short;
  }
  return x;
}
