import { expectInteger, expectShape, show } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { native } from "../../native.js";
import { Tensor } from "../../tensor/tensor.js";
import type { Dataset, ImageLayout, TableLayout } from "../dataset.js";
import { expectDataset } from "../expect_dataset.js";
import { indexRange } from "../indices.js";
import { columnWidth, encodeCell, widthOf } from "./cells.js";

/**
 * How an example becomes the values that a network takes, and what its classes are called. Plain JSON: the file of a
 * network carries it, so that new examples become values as those that it was trained on.
 */
export type InputDescription = ImageInputs | TableInputs | ValueInputs;

/** The classes of an {@link InputDescription}. */
export interface InputClasses {
  readonly classes: number;
  /** Null: their numbers. */
  readonly classNames: readonly string[] | null;
}

/** Images, pixels in bytes. */
export interface ImageInputs extends ImageLayout, InputClasses {
  readonly kind: "image";
}

/** Rows of a table. */
export interface TableInputs extends TableLayout, InputClasses {
  readonly kind: "table";
}

/** Values that are taken as they are. */
export interface ValueInputs extends InputClasses {
  readonly kind: "values";
  readonly features: number;
}

/** Under which key the metadata of a `.safetensors` file holds the description of its network's inputs, as JSON. */
export const INPUTS_KEY = "distillery.inputs";

/** The cells of a row by the names of their columns. */
export type TableRow = Readonly<Record<string, string | number>>;

/**
 * Describes how a data set's examples were made into values.
 *
 * @example
 * ```ts
 * const text = JSON.stringify(describeInputs(train));
 * ```
 */
export function describeInputs(dataset: Dataset): InputDescription {
  const { image, table, features, classes, classNames } = expectDataset(dataset);
  const names = { classes, classNames: classNames === undefined ? null : [...classNames] };
  if (image !== undefined) return { kind: "image", ...structuredClone(image), ...names };
  if (table !== undefined) return { kind: "table", ...structuredClone(table), ...names };
  return { kind: "values", features, ...names };
}

/** The number of values of an example. */
export function inputFeatures(inputs: InputDescription): number {
  if (inputs.kind === "image") return inputs.channels * inputs.height * inputs.width;
  return inputs.kind === "table" ? widthOf(inputs.columns) : inputs.features;
}

/**
 * New examples as the network takes them, [n, features]: pixels of images (channel after channel), rows of a table, or
 * values. Throws `BAD_ARGUMENT` with the row and column of a cell that can't be encoded.
 *
 * @example
 * ```ts
 * const inputs = encodeInputs(describeInputs(train), [{ height: 1.62, colour: "red" }]);
 * const classes = argmax(noGrad(() => student.forward(inputs)));
 * ```
 */
export function encodeInputs(inputs: ImageInputs, pixels: Uint8Array): Tensor;
export function encodeInputs(inputs: TableInputs, rows: readonly TableRow[]): Tensor;
export function encodeInputs(inputs: ValueInputs, values: Float32Array): Tensor;
export function encodeInputs(
  inputs: InputDescription,
  examples: Uint8Array | readonly TableRow[] | Float32Array,
): Tensor {
  if (inputs.kind === "image") return encodePixels(inputs, expectArray("pixels", examples, Uint8Array));
  if (inputs.kind === "values") return encodeValues(inputs, expectArray("values", examples, Float32Array));
  if (!Array.isArray(examples)) {
    throw new DistilleryError("BAD_DTYPE", `rows: expected a list of rows, got ${show(examples)}`);
  }
  return encodeRows(inputs, examples);
}

function encodePixels(inputs: ImageInputs, pixels: Uint8Array): Tensor {
  const features = inputFeatures(inputs);
  const length = expectExamples("pixels", pixels.length, features);
  const out = new Tensor(new Float32Array(pixels.length), [length, features]);
  const [mean, std] = [Float32Array.from(inputs.mean), Float32Array.from(inputs.std)];
  native.gatherBytes(pixels, indexRange(0, length), out.data, length, features, mean, std);
  return out;
}

function encodeValues({ features }: ValueInputs, values: Float32Array): Tensor {
  return new Tensor(values.slice(), [expectExamples("values", values.length, features), features]);
}

function encodeRows({ columns }: TableInputs, rows: readonly TableRow[]): Tensor {
  const features = widthOf(columns);
  const data = new Float32Array(expectInteger("rows.length", rows.length, 1) * features);
  let at = 0;
  for (const [i, row] of rows.entries()) {
    if (typeof row !== "object" || row === null) {
      const text = `rows[${i}]: expected cells by the names of columns, got ${show(row)}`;
      throw new DistilleryError("BAD_ARGUMENT", text);
    }
    for (const column of columns) {
      const cell = Object.hasOwn(row, column.name) ? row[column.name] : "";
      const problem = encodeCell(column, cell ?? "", data, at);
      if (problem !== null) throw new DistilleryError("BAD_ARGUMENT", `rows[${i}], ${show(column.name)}: ${problem}`);
      at += columnWidth(column);
    }
  }
  return new Tensor(data, [rows.length, features]);
}

function expectExamples(name: string, values: number, features: number): number {
  const length = expectInteger(`the number of ${name}`, Math.ceil(values / features), 1, 2 ** 31 - 1);
  expectShape(name, [values], [length * features]);
  return length;
}

function expectArray<A>(name: string, value: unknown, type: abstract new (...args: never[]) => A): A {
  if (value instanceof type) return value;
  throw new DistilleryError("BAD_DTYPE", `${name}: expected a ${type.name}, got ${show(value)}`);
}
