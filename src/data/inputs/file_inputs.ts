import { extname } from "node:path";
import { show } from "../../checks.js";
import { readWhole } from "../../files/index.js";
import { Tensor } from "../../tensor/tensor.js";
import { badData } from "../bad_data.js";
import { readCsv } from "../formats/csv.js";
import { decodeIdx } from "../formats/idx.js";
import { decodeNpy } from "../formats/npy.js";
import { type NumpyImages, toExamples } from "../formats/numpy_examples.js";
import { isPicture, readPictures } from "../formats/pictures.js";
import { expectWidth } from "../formats/table.js";
import { findPlaces, type TablePlaces } from "../formats/table_header.js";
import { columnWidth, encodeCell, numberOf, widthOf } from "./cells.js";
import {
  encodeInputs,
  type ImageInputs,
  type InputClasses,
  type InputDescription,
  type TableInputs,
  type ValueInputs,
} from "./inputs.js";
import type { FileInputs } from "./read_inputs.js";

/** See {@link readInputs}. */
export async function readExamples(file: string, description: InputDescription): Promise<FileInputs> {
  if (description.kind === "table") return readRows(file, description);
  if (description.kind === "values") return readValues(file, description);
  if (isPicture(file)) {
    const options = { imageSize: [description.height, description.width], grey: description.channels === 1 } as const;
    const pixels = await readPictures([file], description, options);
    return { inputs: encodeInputs(description, pixels), places: [file], labels: null };
  }
  const { pixels, count } = await readImages(file, description);
  return { inputs: encodeInputs(description, pixels), places: numbered(file, count), labels: null };
}

async function readImages(file: string, { channels, height, width }: ImageInputs): Promise<NumpyImages> {
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

async function readValues(file: string, description: ValueInputs): Promise<FileInputs> {
  if (extname(file).toLowerCase() !== ".npy") throw badData(file, "expected a .npy file of numbers");
  const { features } = description;
  const examples = toExamples(decodeNpy(await readWhole(file), file), file);
  if (examples.kind === "image") throw badData(file, "expected numbers, got bytes");
  if (examples.features !== features) {
    throw badData(file, `expected ${features} values an example, got ${examples.features}`);
  }
  const inputs = encodeInputs(description, examples.values);
  return { inputs, places: numbered(file, examples.count), labels: null };
}

async function readRows(file: string, description: TableInputs): Promise<FileInputs> {
  const { columns, header } = description;
  const features = widthOf(columns);
  const [rows, lines, labels]: [Float32Array[], string[], number[]] = [[], [], []];
  let places: TablePlaces | undefined;
  await readCsv(file, (cells, line) => {
    if (places === undefined) {
      places = findPlaces(description, cells, line, file);
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
    if (places.label >= 0) labels.push(classOf(cells[places.label] as string, description));
  });
  if (rows.length === 0) throw badData(file, "truncated: it has no rows");
  const values = new Float32Array(rows.length * features);
  for (const [i, row] of rows.entries()) values.set(row, i * features);
  const inputs = new Tensor(values, [rows.length, features]);
  return { inputs, places: lines, labels: labels.length === 0 ? null : Int32Array.from(labels) };
}

function classOf(text: string, { classNames }: InputClasses): number {
  const number = numberOf(text);
  const byText = classNames?.indexOf(text) ?? -1;
  return byText >= 0 || number === null ? byText : (classNames?.indexOf(String(number)) ?? -1);
}

function numbered(file: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${file}, ${i}`);
}
