import { freemem } from "node:os";
import { MAX_LENGTH } from "../../checks.js";
import { badData, expectSize, openSliced, readHead, readSlice, readWhole } from "../../files/index.js";
import { showBytes } from "../../show.js";
import { fromFloat16 } from "../../tensor/float16.js";
import { gatherStrided } from "../../tensor/gather_strided.js";
import { numel } from "../../tensor/shape.js";
import { type NpyHeader, parseNpyHeader } from "./npy_header.js";

/** The types of elements that are read: truth values, whole numbers without and with a sign, floats; by their bytes. */
type NpyType = "b1" | "u1" | "u2" | "u4" | "u8" | "i1" | "i2" | "i4" | "i8" | "f2" | "f4" | "f8";
/** The elements of a `.npy` file, in the typed array of their type; of half precision as float32. */
export type NpyData =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array;

/** An array of a `.npy` file. */
export interface NpyArray {
  readonly type: NpyType;
  readonly shape: readonly number[];
  /** Row by row (C order), whatever the order in the file; shares memory with bytes that lie so. */
  readonly data: NpyData;
}

const MAGIC = "\x93NUMPY";
/** NumPy itself refuses longer headers. */
const MAX_HEADER = 10_000;
const MAX_RANK = 32;
const TYPES: Readonly<Record<NpyType, (buffer: ArrayBuffer) => NpyData>> = {
  b1: (buffer) => new Uint8Array(buffer),
  u1: (buffer) => new Uint8Array(buffer),
  u2: (buffer) => new Uint16Array(buffer),
  u4: (buffer) => new Uint32Array(buffer),
  u8: (buffer) => new BigUint64Array(buffer),
  i1: (buffer) => new Int8Array(buffer),
  i2: (buffer) => new Int16Array(buffer),
  f2: (buffer) => fromFloat16(new Uint16Array(buffer)),
  f4: (buffer) => new Float32Array(buffer),
  f8: (buffer) => new Float64Array(buffer),
  i4: (buffer) => new Int32Array(buffer),
  i8: (buffer) => new BigInt64Array(buffer),
};

/**
 * Reads NumPy's format, versions 1 to 3, in C or Fortran order and in both byte orders: a magic number, the header's
 * length, a Python dictionary with the type, the order and the shape, the elements. Exactly the bytes that these say;
 * `BAD_DATA` with the file's name and the place otherwise.
 */
export function decodeNpy(bytes: Uint8Array, file: string): NpyArray {
  const { type, isBigEndian, fortranOrder, shape, offset } = layoutOf(bytes, file, bytes.length);
  const data = take(bytes.subarray(offset), type, isBigEndian);
  return { type, shape, data: fortranOrder ? rowByRow(data, shape) : data };
}

/** A list of texts, NumPy's type `<U...`, out of the bytes of a `.npy` file; `BAD_DATA` for anything else. */
export function decodeNpyTexts(bytes: Uint8Array, file: string): string[] {
  const { descr, shape, offset } = readNpyHeader(bytes, file);
  const [, order, digits] = /^([<>])U(\d{1,5})$/.exec(descr) ?? [];
  const width = Number(digits);
  if (order === undefined || width === 0 || shape.length !== 1) {
    throw badData(
      file,
      `expected a list of texts, got elements of type "${descr.slice(0, 20)}" in ${shape.length} axes`,
    );
  }
  expectSize(file, offset + 4 * width * elements(shape, file), bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: shape[0] }, (_, i) => {
    const points = Array.from({ length: width }, (_, at) =>
      view.getUint32(offset + 4 * (i * width + at), order === "<"),
    );
    if (points.some((point) => point > 0x10ffff)) throw badData(file, `text ${i} is not valid Unicode`);
    return String.fromCodePoint(...points.slice(0, points.findLastIndex((point) => point !== 0) + 1));
  });
}

/** An array of a `.npy` file that stays there: `read` gives the elements of the rows `start` to `end`. */
export interface NpyFile extends Pick<NpyArray, "type" | "shape"> {
  read(start: number, end: number): NpyData;
}

/** The longest head of a file that is looked at: a header with what precedes it. */
const HEAD = 2 ** 14;

/**
 * Opens a `.npy` file whose rows are read piece by piece; one in Fortran order, which has none, only if it `mayLoad`
 * into memory.
 */
export async function openNpyFile(path: string, mayLoad = false): Promise<NpyFile> {
  const file = await openSliced(path);
  const { type, isBigEndian, fortranOrder, shape, offset } = layoutOf(readHead(file, HEAD), path, file.size);
  if (fortranOrder && mayLoad) {
    const { data } = decodeNpy(await readWhole(path, "np.ascontiguousarray makes rows of it, which stay there"), path);
    const width = data.length / shape[0];
    return { type, shape, read: (start, end) => data.subarray(start * width, end * width) };
  }
  if (fortranOrder) throw badData(path, "is in Fortran order, which can't be streamed: save np.ascontiguousarray(x)");
  const stride = Number(type[1]) * numel(shape.slice(1));
  const read = (start: number, end: number) => {
    const bytes = new Uint8Array((end - start) * stride);
    readSlice(file, offset + start * stride, bytes);
    return take(bytes, type, isBigEndian);
  };
  return { type, shape, read };
}

/** How the elements of a file of `size` bytes lie, which has to be the size that its header claims. */
function layoutOf(head: Uint8Array, file: string, size: number) {
  const { descr, fortranOrder, shape, offset } = readNpyHeader(head, file);
  const [, order, type] = /^([<>=|])(.*)$/.exec(descr) ?? [];
  if (type === undefined || !Object.hasOwn(TYPES, type)) {
    const known = "whole numbers, truth values and floats of 2, 4 and 8 bytes are read";
    throw badData(file, `elements of type "${descr.slice(0, 20)}"; ${known}: ${adviceFor(type)}`);
  }
  const claimed = offset + elements(shape, file) * Number(type[1]);
  expectSize(file, claimed, size);
  return { type: type as NpyType, isBigEndian: order === ">", fortranOrder, shape, offset };
}

/** What makes an array that can be read of one of another type: texts and objects can only be labels. */
function adviceFor(type = ""): string {
  if (/^[USO]/.test(type)) return "np.unique(y, return_inverse=True) makes classes of texts and objects";
  return 'astype("float32") makes one of numbers';
}

/** What a file's first bytes say of its elements, and where these begin; `BAD_DATA` if they are no header. */
function readNpyHeader(bytes: Uint8Array, file: string): NpyHeader & { readonly offset: number } {
  const start = Buffer.from(bytes.subarray(0, 6)).toString("latin1");
  if (start !== MAGIC) {
    if (MAGIC.startsWith(start))
      throw badData(file, `truncated: its magic number has 6 bytes, the file ${bytes.length}`);
    throw badData(
      file,
      `not a .npy file: byte 0: expected 934e554d5059, got ${Buffer.from(start, "latin1").toString("hex")}`,
    );
  }
  const version = bytes[6] ?? 1;
  if (version < 1 || version > 3) throw badData(file, `byte 6: expected version 1, 2 or 3, got ${version}`);
  const lengthBytes = version === 1 ? 2 : 4;
  const begin = 8 + lengthBytes;
  if (bytes.length < begin)
    throw badData(file, `truncated: its header begins at byte ${begin}, the file has ${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = lengthBytes === 2 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_HEADER)
    throw badData(file, `byte 8: expected a header of at most ${MAX_HEADER} bytes, got ${length}`);
  const offset = begin + length;
  if (bytes.length < offset)
    throw badData(file, `truncated: its header ends at byte ${offset}, the file has ${bytes.length}`);
  const text = Buffer.from(bytes.subarray(begin, offset)).toString(version === 3 ? "utf8" : "latin1");
  const header = parseNpyHeader(text);
  if ("problem" in header) throw badData(file, `byte ${begin}: its header: ${header.problem}`);
  return { ...header, offset };
}

function elements(shape: readonly number[], file: string): number {
  const text = `its header: a shape of [${shape.slice(0, MAX_RANK).join(", ")}]`;
  if (shape.includes(0)) throw badData(file, `${text} has no elements`);
  if (shape.length > MAX_RANK) throw badData(file, `${text} and more has more than ${MAX_RANK} axes`);
  const count = numel(shape);
  if (count <= MAX_LENGTH) return count;
  throw badData(file, `${text} is more than ${MAX_LENGTH} elements`);
}

function take(bytes: Uint8Array, type: NpyType, isBigEndian: boolean): NpyData {
  if (type === "u1") return bytes;
  // A copy: elements have to lie at multiples of their width.
  const copy = Uint8Array.from(bytes);
  const buffer = Buffer.from(copy.buffer);
  const swap = { 1: () => buffer, 2: () => buffer.swap16(), 4: () => buffer.swap32(), 8: () => buffer.swap64() };
  if (isBigEndian) swap[type[1] as "1" | "2" | "4" | "8"]();
  return TYPES[type](copy.buffer);
}

/** Column by column (Fortran order) becomes row by row. */
function rowByRow<D extends NpyData>(from: D, shape: readonly number[]): D {
  if (shape.length < 2) return from;
  const to = from.slice() as D;
  const strides = shape.map((_, axis) => numel(shape.slice(0, axis)));
  gatherStrided(from, to, { shape, strides });
  return to;
}

/** Magic number, version 1 and the header's length. */
const START = 10;
/** NumPy maps elements that begin at a multiple of this. */
const ALIGNMENT = 64;

/** What precedes the elements of a `.npy` file, as NumPy writes it: of a type such as `<f4`, row by row. */
export function npyHeader(descr: string, shape: readonly number[]): Uint8Array {
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${tuple}), }`;
  const length = Math.ceil((START + text.length + 1) / ALIGNMENT) * ALIGNMENT - START;
  const header = Buffer.alloc(START + length, " ");
  header.set([0x93, ...Buffer.from("NUMPY", "latin1"), 1, 0]);
  header.writeUInt16LE(length, 8);
  header.write(text, START, "latin1");
  header[header.length - 1] = 0x0a;
  return header;
}

/** A `.npy` file of texts, NumPy's type `<U...`. */
export function encodeNpyTexts(texts: readonly string[]): Uint8Array {
  const points = texts.map((text) => [...text].map((character) => character.codePointAt(0) as number));
  const width = Math.max(1, ...points.map(({ length }) => length));
  const elements = Buffer.alloc(4 * width * texts.length);
  for (const [i, text] of points.entries()) {
    for (const [at, point] of text.entries()) elements.writeUInt32LE(point, 4 * (i * width + at));
  }
  return Buffer.concat([npyHeader(`<U${width}`, [texts.length]), elements]);
}

/** The arrays of a `.npz` archive by their names. */
interface NpzArchive {
  readonly names: ReadonlySet<string>;
  read(name: string): Promise<NpyArray>;
  /** An array of texts. */
  readTexts(name: string): Promise<string[]>;
}

/**
 * Opens a `.npz` archive as `numpy.savez` and `savez_compressed` write it: a zip of `.npy` files. An array is taken
 * out, and its checksum checked, when it is read. `BAD_DATA` with the file's name, and the array's, otherwise.
 */
export async function openNpz(bytes: Uint8Array, file: string): Promise<NpzArchive> {
  // Loaded late: only archives need the library behind it.
  const { readZip } = await import("../../files/zip_reader.js");
  const open = (choose: (names: readonly string[]) => readonly string[]) =>
    readZip(bytes, {
      writer: "NumPy",
      refuseCompressed: null,
      refuseSize,
      fail: (problem, cause) => badData(file, problem, cause),
      choose,
    });
  const names = new Set<string>();
  await open((entries) => {
    for (const entry of entries) if (entry.endsWith(".npy")) names.add(entry.slice(0, -4));
    return [];
  });
  const decode = async <T>(name: string, decoder: (bytes: Uint8Array, where: string) => T) => {
    const entries = await open(() => [`${name}.npy`]);
    return decoder(entries.get(`${name}.npy`) as Uint8Array, `${file}: ${name}`);
  };
  return { names, read: (name) => decode(name, decodeNpy), readTexts: (name) => decode(name, decodeNpyTexts) };
}

/** The copies of an array that are in memory at once while it becomes samples. */
const COPIES = 3;

/** Refuses an array that does not fit into the memory that is free, before it is inflated. */
function refuseSize(bytes: number): string | null {
  // Node 20.13 and newer know the limit of a container.
  const free = process.availableMemory?.() ?? freemem();
  if (COPIES * bytes <= free) return null;
  const needs = `takes ${showBytes(COPIES * bytes)} to read, and ${showBytes(free)} are free`;
  return `inflates to ${showBytes(bytes)}, which ${needs}: \`unzip\` makes .npy files of it, which stream (--stream) leaves on the disk`;
}
