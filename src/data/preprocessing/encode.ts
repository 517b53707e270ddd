import { types } from "node:util";
import {
  argumentError,
  badArgument,
  badDtype,
  expectInteger,
  expectLength,
  expectShape,
  isObject,
  show,
  showList,
} from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { native } from "../../native.js";
import { Tensor } from "../../tensor/tensor.js";
import type { Batch, Dataset, ImageLayout, TableColumn } from "../dataset.js";
import { indexRange } from "../take_batch.js";
import { encodeText } from "../text/encodings.js";
import { formatText, parseFormatted, parseNumber } from "./number_format.js";
import {
  columnWidth,
  expectSpec,
  type ImagePreprocessing,
  inputFeatures,
  type Preprocessing,
  sampleShape,
  type TablePreprocessing,
  type TableRow,
  textColumnOf,
  type ValuePreprocessing,
  widthOf,
} from "./spec.js";

/** A cell as a file or a program gives it. */
export type Cell = string | number;

/** The samples that a kind of preprocessing takes; those of any kind if it is not known which. */
export type SamplesFor<S extends Preprocessing> = S extends ImagePreprocessing
  ? Uint8Array
  : S extends TablePreprocessing
    ? readonly TableRow[]
    : Float32Array | Float64Array;

/**
 * New samples as the network takes them: pixels of images (channel after channel) as [n, channels, height, width], rows
 * of a table or values as [n, features].
 *
 * @throws DistilleryError `BAD_ARGUMENT` with the row and column of a cell that can't be encoded, `SHAPE_MISMATCH`,
 * `BAD_DTYPE`.
 * @example
 * ```ts
 * const inputs = encodeSamples(preprocessingOf(train), [{ height: 1.62, colour: "red" }]);
 * const classes = argmax(noGrad(() => student.forward(inputs)), 1);
 * ```
 */
export function encodeSamples<S extends Preprocessing>(spec: S, samples: SamplesFor<S>): Tensor;
export function encodeSamples(spec: Preprocessing, samples: SamplesFor<Preprocessing>): Tensor {
  expectSpec(spec);
  if (spec.kind === "image")
    return encodePixels(spec, expectArray("pixels", samples, types.isUint8Array, "Uint8Array"));
  if (spec.kind === "values") {
    if (types.isFloat64Array(samples)) return encodeValues(spec, samples);
    return encodeValues(spec, expectArray("values", samples, types.isFloat32Array, "Float32Array"));
  }
  if (!Array.isArray(samples)) throw badDtype("rows", "a list of rows", samples);
  return encodeRows(spec, samples);
}

function encodePixels(spec: ImagePreprocessing, pixels: Uint8Array): Tensor {
  const features = inputFeatures(spec);
  const length = expectSamples("pixels", pixels.length, features);
  const out = new Tensor(new Float32Array(pixels.length), [length, ...sampleShape(spec)]);
  const [mean, std] = [Float32Array.from(spec.mean), Float32Array.from(spec.std)];
  native.gatherBytes(pixels, indexRange(0, length), out.data, length, features, mean, std);
  return out;
}

function encodeValues({ features, mean, std }: ValuePreprocessing, values: Float32Array | Float64Array): Tensor {
  const length = expectSamples("values", values.length, features);
  const data = new Float32Array(values.length);
  for (let i = 0; i < data.length; i++) {
    const column = i % features;
    data[i] = (values[i] - (mean?.[column] ?? 0)) / (std?.[column] ?? 1);
    if (Number.isFinite(data[i])) continue;
    const far = mean === undefined ? "beyond float32's range" : `too far from the mean of ${mean[column]}`;
    const problem = Number.isFinite(values[i])
      ? `${values[i]} is ${far}`
      : `expected a finite number, got ${values[i]}`;
    throw argumentError(`values[${i}]`, problem);
  }
  return new Tensor(data, [length, features]);
}

/** {@link encodeSamples} of rows; `name` is what errors call them. */
export function encodeRows({ columns }: TablePreprocessing, rows: readonly TableRow[], name = "rows"): Tensor {
  const features = widthOf(columns);
  const names = new Set(columns.map(({ name }) => name));
  const data = new Float32Array(expectInteger(`${name}.length`, rows.length, 1) * features);
  let at = 0;
  for (const [i, row] of rows.entries()) {
    if (!isObject(row)) {
      throw badArgument(`${name}[${i}]`, `cells by the names of columns, as ${exampleRow(columns)}`, row);
    }
    for (const column of columns) {
      const cell = Object.hasOwn(row, column.name) ? row[column.name] : undefined;
      const problem =
        cell === undefined
          ? (misnamed(row, names) ?? encodeNothing(column, data, at))
          : encodeCell(column, cell ?? "", data, at);
      if (problem !== null)
        throw new DistilleryError("BAD_ARGUMENT", `${name}[${i}], ${show(column.name)}: ${problem}`);
      at += columnWidth(column);
    }
  }
  return new Tensor(data, [rows.length, features]);
}

/** {@link encodeCell} of a cell that is not there. */
function encodeNothing(column: TableColumn, out: Float32Array, at: number): string | null {
  // An empty text to read is a sample, but a cell that is not there is a mistake.
  if ("text" in column) return "expected a text, got nothing";
  return encodeCell(column, "", out, at) === null ? null : "expected a cell, got nothing";
}

/** What is wrong with a missing cell: its column's name may be written wrongly. */
function misnamed(row: TableRow, names: ReadonlySet<string>): string | null {
  const other = Object.keys(row).find((key) => !names.has(key));
  return other === undefined ? null : `expected a cell, got nothing: the row has ${show(other)}, which is no column`;
}

/** The most columns of an example. */
const SHOWN = 3;

/** What a row of these columns looks like in JSON. */
export function exampleRow(columns: readonly TableColumn[]): string {
  const cells = columns.slice(0, SHOWN).map((column) => {
    const numberOrText =
      "mean" in column ? Number(column.mean.toPrecision(2)) : "text" in column ? "some text" : column.categories[0];
    return `${JSON.stringify(column.name)}: ${JSON.stringify(numberOrText)}`;
  });
  return `{${cells.join(", ")}${columns.length > SHOWN ? ", ..." : ""}}`;
}

function expectSamples(name: string, values: number, features: number): number {
  const length = expectLength(`the number of ${name}`, Math.ceil(values / features));
  expectShape(name, [values], [length * features]);
  return length;
}

function expectArray<A>(name: string, value: unknown, is: (value: unknown) => value is A, type: string): A {
  if (is(value)) return value;
  throw badDtype(name, `a ${type}`, value);
}

/** Writes what a cell becomes at `out[at]` and after, which holds zeros; the problem's text if it can't. */
export function encodeCell(column: TableColumn, cell: Cell, out: Float32Array, at: number): string | null {
  if (typeof cell !== "string" && typeof cell !== "number") return `expected a text or a number, got ${show(cell)}`;
  const text = typeof cell === "string" ? cell.trim() : String(cell);
  if ("text" in column) {
    encodeText(column.text, text, out.subarray(at, at + column.text.length));
    return null;
  }
  const isAbsent = isMissing(text);
  if ("mean" in column && isAbsent && column.missing) {
    if (column.missing === "category") out[at + 1] = 1;
    return null;
  }
  if (text === "" && !("categories" in column && column.categories.includes(""))) return "is empty";
  if ("categories" in column) {
    const category = column.categories.indexOf(isAbsent && column.categories.includes("") ? "" : text);
    if (category < 0) return `expected one of ${showList(column.categories)}, got ${show(text)}`;
    out[at + category] = 1;
    return null;
  }
  const { format } = column;
  const read = () => (format === undefined ? parseNumber(text) : parseFormatted(text, format));
  const x = typeof cell === "number" && Number.isFinite(cell) ? cell : read();
  if (x === null) {
    return `expected a number${format === undefined ? "" : `, written with ${formatText(format)}`}, got ${show(text)}`;
  }
  out[at] = (x - column.mean) / column.std;
  return Number.isFinite(out[at]) ? null : `${show(text)} is too far from the column's mean of ${column.mean}`;
}

/** How files write that a value is missing; as pandas has them, a dash, and UCI's question mark. */
export const MISSING_TEXTS: readonly string[] = [
  "",
  "-",
  "?",
  "NA",
  "N/A",
  "n/a",
  "#N/A",
  "#NA",
  "<NA>",
  "NaN",
  "nan",
  "-NaN",
  "-nan",
  "NULL",
  "null",
  "None",
];
const MISSING = new Set(MISSING_TEXTS);

/** Whether a cell says that its value is missing. */
export function isMissing(text: string): boolean {
  return text.length <= 4 && MISSING.has(text);
}

/**
 * A sample as it was before it became values: the cells of a table's row by the columns' names (null: missing), the
 * bytes of an image, channel after channel; otherwise the values as they are.
 */
export type RawSample = Readonly<Record<string, number | string | null>> | Uint8Array | Float32Array;

/**
 * The samples that became the inputs of a batch: for a number the shortest one that becomes the same value, for texts
 * those that the batch has.
 */
export function samplesOf(data: Dataset, { inputs, texts }: Pick<Batch, "inputs" | "texts">): RawSample[] {
  const { image, table, values: layout } = data;
  const column = textColumnOf(data);
  if (column !== null && texts !== undefined) return texts().map((text) => ({ [column.name]: text }));
  const width = inputs.size / inputs.shape[0];
  return Array.from({ length: inputs.shape[0] }, (_, i): RawSample => {
    const values = inputs.data.slice(i * width, (i + 1) * width);
    if (image !== undefined) return pixelBytes(values, image);
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

/** The nearest bytes of {@link pixelsOf}: noise may have moved a value beyond them. */
export function pixelBytes(values: Float32Array, image: ImageLayout): Uint8Array {
  return asBytes(pixelsOf(values, image));
}

/** Pixels rounded to bytes, and clamped. */
export function asBytes(pixels: Float64Array): Uint8Array {
  return new Uint8Array(Uint8ClampedArray.from(pixels).buffer);
}

function cellsOf(values: Float32Array, columns: readonly TableColumn[]): Record<string, number | string | null> {
  let at = 0;
  const cells = columns.map((column): [string, number | string | null] => {
    const own = values.subarray(at, at + columnWidth(column));
    at += own.length;
    // After noise or mixup no value is exactly 1: the category is the one with more than half.
    if ("categories" in column) return [column.name, column.categories[own.findIndex((share) => share > 0.5)] || null];
    if ("text" in column)
      return [column.name, `ids ${own.subarray(0, own.findLastIndex((id) => id !== 0) + 1).join(" ")}`];
    const isMissing = column.missing === "category" && own[1] > 0.5;
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
