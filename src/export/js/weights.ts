import type { Constant } from "../../graph/index.js";
import { LEAST, PLACED, STORED } from "../../ops/web_assembly.js";
import type { JsBuilder, JsFunction } from "../../tensor/js_form.js";
import { packInt8, UNPACKED, unpackingBytes } from "./packed_int8.js";
import { transposed } from "./transposed.js";

/** Up to this many numbers are written as decimal text. */
const SHORT = 16;

const BYTES: JsFunction = {
  name: "bytes",
  source: `
/** The bytes of a text in base64. */
function bytes(text) {
  if (Uint8Array.fromBase64 !== undefined) return Uint8Array.fromBase64(text);
  // Node.js has that from 25 on.
  if (globalThis.Buffer !== undefined) return new Uint8Array(globalThis.Buffer.from(text, "base64"));
  const characters = atob(text);
  const out = new Uint8Array(characters.length);
  for (let i = 0; i < out.length; i++) out[i] = characters.charCodeAt(i);
  return out;
}`,
};

const FLOAT32: JsFunction = {
  name: "float32",
  calls: [BYTES],
  source: `
/** Numbers in single precision. */
function float32(text) {
  return new Float32Array(bytes(text).buffer);
}`,
};

const FLOAT16: JsFunction = {
  name: "float16",
  calls: [BYTES, PLACED],
  source: `
/** Numbers in half precision: a sign, 5 bits of exponent, 10 of mantissa. */
function float16(text) {
  const values = new Uint16Array(bytes(text).buffer);
  if (webAssembly !== null) {
    const y = placed(values.length);
    const from = 4 * webAssembly.end;
    webAssembly.bytes.set(new Uint8Array(values.buffer), from);
    webAssembly.halves(from, y.byteOffset, y.byteOffset + y.byteLength);
    return y;
  }
  return Float32Array.from(values, (bits) => {
    const [exponent, mantissa] = [(bits >> 10) & 31, bits & 1023];
    const size = exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25);
    return bits < 0x8000 ? size : -size;
  });
}`,
};

const INT8: JsFunction = {
  name: "int8",
  calls: [PLACED],
  source: `
/** Numbers in 8 bits, each times the scale of its row or of its column. */
function int8(values, scales, of) {
  const columns = of === "column" ? scales.length : values.length / scales.length;
  if (webAssembly !== null) {
    const y = placed(values.length);
    const { bytes, numbers, end, scale } = webAssembly;
    const scalesAt = end + Math.ceil(values.length / 4);
    bytes.set(values, 4 * end);
    numbers.set(scales, scalesAt);
    scale(4 * end, y.byteOffset, values.length / columns, columns, 4 * scalesAt, of === "column");
    return y;
  }
  const y = new Float32Array(values.length);
  for (let row = 0, i = 0; i < y.length; row++) {
    for (let c = 0; c < columns; c++, i++) y[i] = values[i] * scales[of === "column" ? c : row];
  }
  return y;
}`,
};

/** All functions that {@link weightsJs} may call. */
export const WEIGHT_FUNCTIONS: readonly JsFunction[] = [BYTES, FLOAT32, FLOAT16, INT8, UNPACKED, STORED];

/** Whether a constant lies in WebAssembly's memory. */
export function isStored({ data, quantized, half }: Constant, isTransposed: boolean): boolean {
  if (quantized !== undefined || half !== undefined) return data.length > SHORT;
  return isTransposed && data.length >= LEAST;
}

/** The JavaScript of a constant's numbers, transposed if it is read so alone. */
export function weightsJs(constant: Constant, isTransposed: boolean, builder: JsBuilder): string {
  const { data, shape, quantized, half } = constant;
  const ordered = <T extends Float32Array | Int8Array | Uint16Array>(matrix: T): T =>
    isTransposed ? transposed(matrix, shape[0]) : matrix;
  if (data.length <= SHORT) return `Float32Array.of(${Array.from(ordered(data), decimal).join(", ")})`;
  if (quantized !== undefined) {
    const scales = builder.call(FLOAT32, base64(quantized.scales));
    builder.room(data.length / 4 + quantized.scales.length);
    return builder.call(INT8, int8Js(ordered(quantized.values), builder), scales, isTransposed ? '"column"' : '"row"');
  }
  if (half !== undefined) {
    builder.room(data.length / 2);
    return builder.call(FLOAT16, base64(ordered(half)));
  }
  const numbers = builder.call(FLOAT32, base64(ordered(data)));
  return isStored(constant, isTransposed) ? builder.call(STORED, numbers) : numbers;
}

/** 8-bit numbers in the shorter of two texts. */
function int8Js(values: Int8Array, builder: JsBuilder): string {
  const [packed, plain] = [JSON.stringify(packInt8(values)), base64(values)];
  if (packed.length >= plain.length) return `new Int8Array(${builder.call(BYTES, plain)}.buffer)`;
  builder.room(unpackingBytes(values.length, packed.length) / 4);
  return builder.call(UNPACKED, packed, values.length);
}

/** The shortest decimal number whose nearest one in single precision is x. */
function decimal(x: number): string {
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(x.toPrecision(digits));
    if (Math.fround(short) === x) return Object.is(short, -0) ? "-0" : String(short);
  }
  return String(Number(x.toPrecision(9)));
}

/** The bytes of an array as a text in base64: every platform is little-endian. */
function base64(data: ArrayBufferView): string {
  return JSON.stringify(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64"));
}
