import { extname } from "node:path";
import { show } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { badData, readWhole } from "../../files/index.js";
import { Tensor } from "../../tensor/tensor.js";
import { readCsv } from "../formats/csv.js";
import { decodeIdx } from "../formats/idx.js";
import { decodeNpy } from "../formats/npy.js";
import { type NumpyImages, toExamples } from "../formats/numpy_examples.js";
import { isPicture, readPictures } from "../formats/pictures.js";
import { expectWidth } from "../formats/table.js";
import { findPlaces, type TablePlaces } from "../formats/table_header.js";
import { encodeCell, encodeSamples, parseNumber } from "./encode.js";
import type { ClassSpec, ImagePreprocessing, Preprocessing, TablePreprocessing, ValuePreprocessing } from "./spec.js";
import { columnWidth, widthOf } from "./spec.js";

/** Samples out of a file, as a network takes them. */
export interface FileSamples {
  /** [n, features]. */
  readonly inputs: Tensor;
  /** Where each sample is: the file, with its line or index if the file has several. */
  readonly locations: readonly string[];
  /** For a table that has its label: the class of each row, -1 for a text that is none; otherwise null. */
  readonly labels: Int32Array | null;
}

/**
 * Reads new samples as the preprocessing of a network says. Images: a PNG or JPEG image, made grey or RGB and resized; an
 * IDX or `.npy` file of images of the same size. A table: the rows of a `.csv` or `.tsv` file, with or without the label,
 * columns in any order if they are named. Values: a `.npy` file [n, features].
 *
 * @throws DistilleryError `BAD_DATA` with the file and the line, index or byte.
 * @example
 * ```ts
 * const { inputs, locations } = await readSamples("new.csv", preprocessingOf(train));
 * ```
 */
export async function readSamples(file: string, spec: Preprocessing): Promise<FileSamples> {
  if (typeof file !== "string" || file === "" || file.includes("\0")) {
    throw new DistilleryError("BAD_ARGUMENT", `file: expected a file, got ${show(file)}`);
  }
  if (spec.kind === "table") return readRows(file, spec);
  if (spec.kind === "values") return readValues(file, spec);
  if (isPicture(file)) {
    const options = { imageSize: [spec.height, spec.width], grey: spec.channels === 1 } as const;
    const pixels = await readPictures([file], spec, options);
    return { inputs: encodeSamples(spec, pixels), locations: [file], labels: null };
  }
  const { pixels, count } = await readImages(file, spec);
  return { inputs: encodeSamples(spec, pixels), locations: numbered(file, count), labels: null };
}

async function readImages(file: string, { channels, height, width }: ImagePreprocessing): Promise<NumpyImages> {
  const bytes = await readWhole(file);
  const expected = `images of ${channels} x ${height} x ${width}`;
  const isNpy = extname(file).toLowerCase() === ".npy";
  if (!isNpy && channels !== 1) throw badData(file, `expected a PNG or JPEG picture, or a .npy file of ${expected}`);
  const images = isNpy ? toExamples(decodeNpy(bytes, file), file) : await idxImages(bytes, file);
  if (images.kind === "values") throw badData(file, `expected ${expected} in bytes, got numbers`);
  const { size } = images;
  if (size.channels === channels && size.height === height && size.width === width) return images;
  throw badData(file, `expected ${expected}, got ${size.channels} x ${size.height} x ${size.width}`);
}

async function idxImages(bytes: Uint8Array, file: string): Promise<NumpyImages> {
  const { shape, data } = await decodeIdx(bytes, file, 3);
  const [count, height, width] = shape as [number, number, number];
  return { kind: "image", count, size: { channels: 1, height, width }, pixels: data };
}

async function readValues(file: string, spec: ValuePreprocessing): Promise<FileSamples> {
  if (extname(file).toLowerCase() !== ".npy") throw badData(file, "expected a .npy file of numbers");
  const { features } = spec;
  const examples = toExamples(decodeNpy(await readWhole(file), file), file);
  if (examples.kind === "image") throw badData(file, "expected numbers, got bytes");
  if (examples.features !== features) {
    throw badData(file, `expected ${features} values an example, got ${examples.features}`);
  }
  const inputs = encodeSamples(spec, examples.values);
  return { inputs, locations: numbered(file, examples.count), labels: null };
}

async function readRows(file: string, spec: TablePreprocessing): Promise<FileSamples> {
  const { columns, header } = spec;
  const features = widthOf(columns);
  const [rows, lines, labels]: [Float32Array[], string[], number[]] = [[], [], []];
  let places: TablePlaces | undefined;
  await readCsv(file, (cells, line) => {
    if (places === undefined) {
      places = findPlaces(spec, cells, line, file);
      if (header) return;
    }
    expectWidth(cells, places, line, file);
    const row = new Float32Array(features);
    let at = 0;
    for (const [i, column] of columns.entries()) {
      const problem = encodeCell(column, cells[places.columns[i] as number] as string, row, at);
      if (problem !== null) throw badData(file, `line ${line}, ${show(column.name)}: ${problem}`);
      at += columnWidth(column);
    }
    rows.push(row);
    lines.push(`${file}, line ${line}`);
    if (places.label >= 0) labels.push(classOf(cells[places.label] as string, spec));
  });
  if (rows.length === 0) throw badData(file, "truncated: it has no rows");
  const values = new Float32Array(rows.length * features);
  for (const [i, row] of rows.entries()) values.set(row, i * features);
  const inputs = new Tensor(values, [rows.length, features]);
  return { inputs, locations: lines, labels: labels.length === 0 ? null : Int32Array.from(labels) };
}

function classOf(text: string, { classNames }: ClassSpec): number {
  const number = parseNumber(text);
  const byText = classNames?.indexOf(text) ?? -1;
  return byText >= 0 || number === null ? byText : (classNames?.indexOf(String(number)) ?? -1);
}

function numbered(file: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${file}, ${i}`);
}
