import { badData } from "../../files/index.js";
import { gatherStrided } from "../../tensor/gather_strided.js";
import { type NpyHeader, parseNpyHeader } from "./npy_header.js";

/** The types of elements that are read: unsigned bytes, floats of 4 and 8 bytes, whole numbers of 4 and 8. */
export type NpyType = "u1" | "f4" | "f8" | "i4" | "i8";
export type NpyData = Uint8Array | Float32Array | Float64Array | Int32Array | BigInt64Array;

/** An array of a `.npy` file. */
export interface NpyArray {
  readonly type: NpyType;
  readonly shape: readonly number[];
  /** Row by row (C order), whatever the order in the file; shares memory with bytes that lie so. */
  readonly data: NpyData;
}

const MAGIC = "\x93NUMPY";
const MAX_ELEMENTS = 2 ** 31 - 1;
/** NumPy itself reads no longer ones. */
const MAX_HEADER = 10_000;
const MAX_RANK = 32;
const TYPES: Readonly<Record<NpyType, (buffer: ArrayBuffer) => NpyData>> = {
  u1: (buffer) => new Uint8Array(buffer),
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
  const { descr, fortranOrder, shape, offset } = readNpyHeader(bytes, file);
  const [, order, type] = /^([<>=|])(u1|f4|f8|i4|i8)$/.exec(descr) ?? [];
  if (type === undefined) {
    const advice = 'astype("float32") of numbers or astype("uint8") of pixels makes one';
    throw badData(file, `elements of type "${descr.slice(0, 20)}"; only u1, f4, f8, i4 and i8 are read: ${advice}`);
  }
  const width = Number(type[1]);
  const claimed = offset + elements(shape, file) * width;
  if (bytes.length < claimed) throw badData(file, `truncated: claims ${claimed} bytes, has ${bytes.length}`);
  if (bytes.length > claimed) {
    throw badData(file, `claims ${claimed} bytes, but ${bytes.length - claimed} more follow at byte ${claimed}`);
  }
  const data = take(bytes.subarray(offset), type as NpyType, order === ">");
  return { type: type as NpyType, shape, data: fortranOrder ? toRows(data, shape) : data };
}

/** What a file's first bytes say of its elements, and where these begin; `BAD_DATA` where they are no header. */
export function readNpyHeader(bytes: Uint8Array, file: string): NpyHeader & { readonly offset: number } {
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
  const count = shape.reduce((product, length) => product * length, 1);
  if (count <= MAX_ELEMENTS) return count;
  throw badData(file, `${text} is more than ${MAX_ELEMENTS} elements`);
}

function take(bytes: Uint8Array, type: NpyType, isBigEndian: boolean): NpyData {
  if (type === "u1") return bytes;
  // A copy: elements have to lie at multiples of their width.
  const copy = Uint8Array.from(bytes);
  const buffer = Buffer.from(copy.buffer);
  if (isBigEndian) type.endsWith("8") ? buffer.swap64() : buffer.swap32();
  return TYPES[type](copy.buffer);
}

/** Column by column (Fortran order) becomes row by row. */
function toRows<D extends NpyData>(from: D, shape: readonly number[]): D {
  if (shape.length < 2) return from;
  const to = from.slice() as D;
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((product, length) => product * length, 1));
  gatherStrided(from, to, { shape, strides });
  return to;
}
