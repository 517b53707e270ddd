import { basename, dirname, extname, join } from "node:path";
import { show, showList } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { badData, kindOf, listFiles, readWhole } from "../../files/index.js";
import { native } from "../../native.js";
import { encodeSamples } from "../preprocessing/encode.js";
import type { ImagePreprocessing, ValuePreprocessing } from "../preprocessing/spec.js";
import { expectSameKind, expectSeen, ON_DISK, type RawData, type RawPart } from "../raw_data.js";
import { featuresOf, MemoryRows, newRows, type RowData, type RowSource } from "../row_source.js";
import { type Format, numbered } from "./format.js";
import { decodeNpy, type NpyArray, type NpyData, type NpyFile, openNpyFile } from "./npy.js";

/** The arrays of a data set: samples and labels for training, then for testing if they are there. */
type Family = readonly [x: string, y: string, testX?: string, testY?: string];

/** The names that arrays go by. */
const FAMILIES: readonly Family[] = [
  ["x_train", "y_train", "x_test", "y_test"],
  ["X_train", "y_train", "X_test", "y_test"],
  ["train_images", "train_labels", "test_images", "test_labels"],
  ["x", "y"],
  ["X", "y"],
  ["images", "labels"],
  ["data", "labels"],
  ["data", "target"],
];

/**
 * NumPy's arrays: a `.npz` archive, a `.npy` file with its labels beside it, or a folder of `.npy` files. Unsigned bytes
 * are images; other numbers are values, taken as they are.
 */
export const numpy: Format = {
  name: "numpy",
  help: "a .npz or .npy file, a folder of .npy files",
  extensions: [".npz", ".npy"],
  folder: "x_train.npy and y_train.npy",
  detect: ({ files }) => familyOf(arrayNames(files)) !== null,

  async open(path, { stream }): Promise<RawData> {
    const isFolder = (await kindOf(path)) === "folder";
    const isArchive = !isFolder && extname(path).toLowerCase() === ".npz";
    if (isArchive && stream) {
      const text = `${path} is an archive, which can't be read in pieces: \`unzip\` makes .npy files of a .npz`;
      throw new DistilleryError("BAD_ARGUMENT", `stream: ${text}`);
    }
    if (isArchive) return openArrays(await archiveArrays(path));
    if (isFolder) return openArrays(folderArrays(path, await listFiles(path), stream));
    const { arrays, family } = await familyOfFile(path, stream);
    return openArrays(arrays, family);
  },

  samples: {
    help: "a .npy file",
    extensions: [".npy"],
    accepts: (spec) => spec.kind !== "table",
    async read(file, spec) {
      const { rows } = toRows(decodeNpy(await readWhole(file), file), file);
      const { data } = rows as MemoryRows;
      const expected =
        spec.kind === "image" ? `images of ${spec.channels} x ${spec.height} x ${spec.width}` : "numbers";
      if ((rows.dtype === "uint8") !== (spec.kind === "image")) {
        const got = rows.dtype === "uint8" ? "bytes" : "numbers";
        throw badData(file, `expected ${expected}${spec.kind === "image" ? " in bytes" : ""}, got ${got}`);
      }
      const locations = numbered(file, rows.length);
      if (spec.kind === "image") {
        const got = `images of ${rows.shape.join(" x ")}`;
        if (got !== expected) throw badData(file, `expected ${expected}, got ${rows.shape.join(" x ")}`);
        return { inputs: encodeSamples(spec as ImagePreprocessing, data as Uint8Array), locations, labels: null };
      }
      const { features } = spec as ValuePreprocessing;
      if (featuresOf(rows) !== features) {
        throw badData(file, `expected ${features} values a sample, got ${featuresOf(rows)}`);
      }
      return { inputs: encodeSamples(spec as ValuePreprocessing, data as Float32Array), locations, labels: null };
    },
  },
};

/** Arrays by name, in an archive or in files. */
interface Arrays {
  /** The file or folder, for errors. */
  readonly source: string;
  readonly names: ReadonlySet<string>;
  /** How errors call an array: its file, or the archive and its name. */
  locationOf(name: string): string;
  read(name: string): Promise<NpyArray>;
  /** The samples of an array. */
  rows(name: string): Promise<NpyRows>;
}

/** The arrays of the `.npy` files of a folder. */
function folderArrays(folder: string, files: ReadonlySet<string>, stream: boolean): Arrays {
  const locationOf = (name: string) => join(folder, `${name}.npy`);
  const read = async (name: string) => decodeNpy(await readWhole(locationOf(name), ON_DISK), locationOf(name));
  const rows = async (name: string) =>
    stream
      ? streamRows(await openNpyFile(locationOf(name)), locationOf(name))
      : toRows(await read(name), locationOf(name));
  return { source: folder, names: arrayNames(files), locationOf, read, rows };
}

async function archiveArrays(file: string): Promise<Arrays> {
  const { names, read } = await openNpz(await readWhole(file), file);
  const locationOf = (name: string) => `${file}: ${name}`;
  return { source: file, names, locationOf, read, rows: async (name) => toRows(await read(name), locationOf(name)) };
}

/**
 * Opens a `.npz` archive as `numpy.savez` and `savez_compressed` write it: a zip of `.npy` files. An array is taken out,
 * and its checksum checked, when it is read. `BAD_DATA` with the file's name, and the array's, otherwise.
 */
export async function openNpz(
  bytes: Uint8Array,
  file: string,
): Promise<{ names: ReadonlySet<string>; read(name: string): Promise<NpyArray> }> {
  // Loaded late: only archives need the library behind it.
  const { readZip } = await import("../../files/zip_reader.js");
  const open = (choose: (names: readonly string[]) => readonly string[]) =>
    readZip(bytes, {
      writer: "NumPy",
      refuseCompressed: null,
      fail: (problem, cause) => badData(file, problem, cause),
      choose,
    });
  const names = new Set<string>();
  await open((entries) => {
    for (const entry of entries) if (entry.endsWith(".npy")) names.add(entry.slice(0, -4));
    return [];
  });
  const read = async (name: string) => {
    const entries = await open(() => [`${name}.npy`]);
    return decodeNpy(entries.get(`${name}.npy`) as Uint8Array, `${file}: ${name}`);
  };
  return { names, read };
}

async function openArrays(arrays: Arrays, family = expectFamily(arrays)): Promise<RawData> {
  const [x, y, testX, testY] = family;
  const train = await openPart(arrays, x, y);
  const test = testX === undefined || testY === undefined ? null : await openPart(arrays, testX, testY);
  const classes = countClasses(train.labels, arrays.locationOf(y));
  const validation = validationFamily(family, arrays.names);
  const valid = validation === null ? null : await openPart(arrays, ...validation);
  for (const [part, partX, partY] of [
    [test, testX, testY],
    [valid, ...(validation ?? [])],
  ] as const) {
    if (part === null || partX === undefined || partY === undefined) continue;
    expectSameKind(train.rows, part.rows, arrays.locationOf(partX));
    expectSeen(train.labels, part.labels, arrays.locationOf(partY));
  }
  return { train, test, validation: valid, classes };
}

async function openPart(arrays: Arrays, x: string, y: string): Promise<RawPart> {
  const missing = [x, y].find((array) => !arrays.names.has(array));
  if (missing !== undefined) throw badData(arrays.source, `${missing} is missing beside ${missing === x ? y : x}`);
  const { rows, isImage } = await arrays.rows(x);
  if (!isImage && rows.dtype === "uint8") {
    const advice = 'reshape it, or astype("float32") if the bytes are no pixels';
    const text = `expected images [n, height, width], with 1 or 3 channels at the end or after n: ${advice}`;
    const shape = [rows.length, ...rows.shape].join(", ");
    throw badData(arrays.locationOf(x), `${text}; got bytes of shape [${shape}]`);
  }
  return { rows, labels: toLabels(await arrays.read(y), rows.length, arrays.locationOf(y)), isImage };
}

/** A pair of `.npy` files: samples, which stay on the disk, and labels. */
export async function openNpyPair(x: string, readLabels: (rows: number) => Promise<Int32Array>): Promise<RawPart> {
  const { rows, isImage } = streamRows(await openNpyFile(x), x);
  return { rows, labels: await readLabels(rows.length), isImage };
}

/** Samples, and whether they are images. */
interface NpyRows {
  readonly rows: RowSource;
  readonly isImage: boolean;
}

/** The samples of an array: bytes are images, other numbers are values, flattened. `BAD_DATA` for one that is not finite. */
function toRows({ type, shape, data }: NpyArray, where: string): NpyRows {
  const { isImage, ...layout } = sampleLayout(type, shape, where);
  const rows = new ConvertedRows({ type, shape, read: (start, end) => slice(data, shape, start, end) }, layout, where);
  if (type === "u1" && !layout.isLast) return { rows: new MemoryRows(data as Uint8Array, layout.shape), isImage };
  return { rows: new MemoryRows(rows.read(0, rows.length), layout.shape), isImage };
}

/** The same of an array that stays in its file. */
function streamRows(array: NpyFile, where: string): NpyRows {
  const { isImage, ...layout } = sampleLayout(array.type, array.shape, where);
  return { rows: new ConvertedRows(array, layout, where), isImage };
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
}

/** [n, height, width], [n, height, width, channels] and [n, channels, height, width] in bytes are images. */
function sampleLayout(type: string, shape: readonly number[], where: string): SampleLayout & { isImage: boolean } {
  if (shape.length < 2) {
    throw badData(where, `expected [n, features] or more axes, got a shape of [${shape.join(", ")}]`);
  }
  const [, a, b, c] = shape;
  const flat = [shape.slice(1).reduce((product, length) => product * length, 1)];
  if (type !== "u1") return { shape: flat, isLast: false, isImage: false };
  if (shape.length === 3) return { shape: [1, a, b], isLast: false, isImage: true };
  if (shape.length === 4 && (c === 1 || c === 3)) return { shape: [c, a, b], isLast: c > 1, isImage: true };
  if (shape.length === 4 && (a === 1 || a === 3)) return { shape: [a, b, c], isLast: false, isImage: true };
  return { shape: shape.slice(1), isLast: false, isImage: false };
}

/** The largest number up to which float32 has every whole one. */
const MAX_WHOLE = 2 ** 24;

/** The samples of an array, made bytes in planes or floats. */
class ConvertedRows implements RowSource {
  readonly length: number;
  readonly shape: readonly number[];
  readonly dtype: "uint8" | "float32";

  constructor(
    private readonly array: NpyFile,
    private readonly layout: SampleLayout,
    private readonly where: string,
  ) {
    this.length = array.shape[0];
    this.shape = layout.shape;
    this.dtype = array.type === "u1" ? "uint8" : "float32";
  }

  read(start: number, end: number, into: RowData = newRows(this, end - start)): RowData {
    const data = this.array.read(start, end);
    if (this.layout.isLast) toPlanes(data as Uint8Array, this.shape, into);
    else if (this.array.type === "u1" || this.array.type === "f4") into.set(data as Uint8Array | Float32Array);
    // By index: two of the types' elements are no numbers for Float32Array.set.
    else for (let i = 0; i < into.length; i++) into[i] = Number(data[i]);
    if (this.dtype === "float32") this.#expectFinite(data, into as Float32Array, start);
    return into;
  }

  #expectFinite(data: NpyData, values: Float32Array, first: number): void {
    const features = featuresOf(this);
    const location = (at: number) => `row ${first + Math.floor(at / features)}, column ${at % features}`;
    if (this.array.type.startsWith("i")) {
      const at = data.findIndex((x: number | bigint) => x > MAX_WHOLE || x < -MAX_WHOLE);
      if (at >= 0) {
        throw badData(this.where, `${location(at)}: ${data[at]} is more than float32 has exactly, ${MAX_WHOLE}`);
      }
    }
    const at = native.firstNonFinite(values);
    if (at < 0) return;
    throw badData(this.where, `${location(at)}: expected a finite number of float32's range, got ${data[at]}`);
  }
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

/** Classes from 0 out of an array [n] or [n, 1] of whole numbers, one for each sample. */
export function toLabels({ shape, data }: NpyArray, count: number, where: string): Int32Array {
  const [length, width = 1] = shape;
  if (shape.length < 1 || shape.length > 2 || width !== 1) {
    const advice = shape.length === 2 ? ": argmax(axis=1) makes classes of one-hot rows" : "";
    throw badData(where, `expected labels of shape [${count}], got [${shape.join(", ")}]${advice}`);
  }
  if (length !== count) throw badData(where, `expected ${count} labels, one a sample, got ${length}`);
  const labels = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const label = Number(data[i]);
    if (!Number.isInteger(label) || label < 0 || label >= 2 ** 31 - 1) {
      throw badData(where, `label ${i}: expected a class, a whole number from 0, got ${show(data[i])}`);
    }
    labels[i] = label;
  }
  return labels;
}

/** The number of classes of training labels, all of which have a sample. */
function countClasses(labels: Int32Array, where: string): number {
  const seen = new Set(labels);
  const highest = labels.reduce((a, b) => Math.max(a, b), 0);
  for (let label = 0; label <= highest; label++) {
    if (seen.has(label)) continue;
    throw badData(where, `class ${label} has no sample, class ${highest} has: number them from 0 on`);
  }
  if (highest === 0) throw badData(where, "expected at least two classes, got one");
  return highest + 1;
}

/** The arrays that are the data; `BAD_DATA` with the names that were looked for. */
function expectFamily({ source, names }: Arrays): Family {
  const family = familyOf(names);
  if (family !== null) return family;
  const wanted = FAMILIES.map(([x, y]) => `${x} and ${y}`).join("; ");
  throw badData(source, `expected arrays called ${wanted}; it has ${showList([...names].sort(), 8) || "none"}`);
}

/**
 * The arrays that go with a `.npy` file: those of its family, or its labels in `NAME_labels.npy`, `labels.npy` or `y.npy`
 * beside it; `NOT_FOUND` otherwise.
 */
async function familyOfFile(file: string, stream: boolean): Promise<{ arrays: Arrays; family: Family }> {
  const folder = dirname(file);
  const arrays = folderArrays(folder, await listFiles(folder), stream);
  const stem = basename(file, extname(file));
  const family = FAMILIES.find((names) => names.includes(stem) && isThere(names, arrays.names));
  if (family !== undefined) return { arrays, family: withoutMissing(family, arrays.names) };
  const candidates = [`${stem}_labels`, "labels", "y"].filter((other) => other !== stem);
  const labels = candidates.find((other) => arrays.names.has(other));
  if (labels !== undefined) return { arrays, family: [stem, labels] };
  const wanted = candidates.map((other) => `${other}.npy`).join(", ");
  throw new DistilleryError("NOT_FOUND", `${file}: expected its labels beside it, in one of ${wanted}`);
}

function arrayNames(files: ReadonlySet<string>): Set<string> {
  return new Set([...files].filter((file) => file.endsWith(".npy")).map((file) => file.slice(0, -4)));
}

/** The arrays of the validation part: `x_val` and `y_val` beside `x_train`, and the like. */
function validationFamily([x, y]: Family, names: ReadonlySet<string>): readonly [string, string] | null {
  if (!x.includes("train") || !y.includes("train")) return null;
  const candidates = ["val", "valid", "validation"].map((part) => [x.replace("train", part), y.replace("train", part)]);
  const found = candidates.find((pair) => pair.some((name) => names.has(name)));
  return found === undefined ? null : [found[0], found[1]];
}

function isThere([x, y]: Family, names: ReadonlySet<string>): boolean {
  return names.has(x) && names.has(y);
}

function familyOf(names: ReadonlySet<string>): Family | null {
  const family = FAMILIES.find((candidate) => isThere(candidate, names));
  return family === undefined ? null : withoutMissing(family, names);
}

/** A family without its test part if no array of that is there. */
function withoutMissing(family: Family, names: ReadonlySet<string>): Family {
  const [x, y, testX, testY] = family;
  return [testX, testY].some((name) => name !== undefined && names.has(name)) ? family : [x, y];
}
