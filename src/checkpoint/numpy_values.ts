import { quote } from "./bad_checkpoint.js";
import type { Bytes, Dtype, Value } from "./pickle_values.js";
import { isKind } from "./pickle_values.js";
import { STORED_TYPES } from "./stored_types.js";

/** NumPy's names for what makes a number: `np.float64(0.93)` is pickled as a call of `scalar`. NumPy 1 and 2. */
export const SCALARS: readonly string[] = ["numpy._core.multiarray.scalar", "numpy.core.multiarray.scalar"];
export const DTYPE = "numpy.dtype";
/** Bytes, in Python's protocol 2: `_codecs.encode(text, "latin1")`. */
export const ENCODE = "_codecs.encode";

const half = STORED_TYPES.find(({ dtype }) => dtype === "float16");

type Read = (bytes: Buffer) => number | bigint | boolean;

/** How a number of a type comes out of its little-endian bytes. */
const NUMBERS: ReadonlyMap<string, Read> = new Map<string, Read>([
  ["b1", (bytes) => bytes[0] !== 0],
  ["i1", (bytes) => bytes.readInt8()],
  ["u1", (bytes) => bytes.readUInt8()],
  ["i2", (bytes) => bytes.readInt16LE()],
  ["u2", (bytes) => bytes.readUInt16LE()],
  ["i4", (bytes) => bytes.readInt32LE()],
  ["u4", (bytes) => bytes.readUInt32LE()],
  ["i8", (bytes) => bytes.readBigInt64LE()],
  ["u8", (bytes) => bytes.readBigUInt64LE()],
  ["f2", (bytes) => half?.decode(bytes)[0] as number],
  ["f4", (bytes) => bytes.readFloatLE()],
  ["f8", (bytes) => bytes.readDoubleLE()],
]);

/** `numpy.dtype("f8", False, True)`; the order of its bytes comes after it. Null for other arguments. */
export function dtypeOf(args: readonly Value[]): Dtype | null {
  const [code, align, copy] = args;
  if (args.length !== 3 || typeof code !== "string" || align !== false || copy !== true) return null;
  return { kind: "dtype", code, order: null };
}

/** The byte order in a dtype's state, `(3, "<", None, None, None, -1, -1, 0)`; null for what is no state of one. */
export function orderOf(state: Value): string | null {
  const [version, order] = isKind(state, "tuple") ? state.items : [];
  return version === 3 && typeof order === "string" ? order : null;
}

/** Null for anything but a text of bytes. */
export function encoded(args: readonly Value[]): Bytes | null {
  const [text, codec] = args;
  if (args.length !== 2 || typeof text !== "string" || codec !== "latin1" || /[^\0-\xff]/.test(text)) return null;
  return { kind: "bytes", text };
}

/** The number that a type and its bytes are, or the text of a problem. */
export function scalarOf(args: readonly Value[]): { value: number | bigint | boolean } | { problem: string } {
  const [type, bytes] = args;
  if (args.length !== 2 || !isKind(type, "dtype") || !isKind(bytes, "bytes")) {
    return { problem: "REDUCE of NumPy's scalar with other arguments than NumPy's" };
  }
  const read = NUMBERS.get(type.code);
  const width = Number(type.code.slice(1));
  if (read === undefined || type.order !== (width === 1 ? "|" : "<")) {
    const known = [...NUMBERS.keys()].join(", ");
    return { problem: `a NumPy value of type ${quote(`${type.order ?? ""}${type.code}`)}: only ${known} are read` };
  }
  if (bytes.text.length !== width) {
    return { problem: `a NumPy value of type ${quote(type.code)} in ${bytes.text.length} bytes` };
  }
  const value = read(Buffer.from(bytes.text, "latin1"));
  if (typeof value !== "bigint") return { value };
  if (BigInt.asIntN(64, value) !== value) return { problem: "a number is too large" };
  return { value: Number.isSafeInteger(Number(value)) ? Number(value) : value };
}
