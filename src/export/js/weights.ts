import type { Constant } from "../../graph/index.js";
import type { JsBuilder, JsFunction } from "../../tensor/js_form.js";
import { packInt8, UNPACKED } from "./packed_int8.js";
import { byPanels } from "./panels.js";

/** Up to this many numbers are written as decimal text. */
const SHORT = 16;

const BYTES: JsFunction = {
  name: "bytes",
  source: `
/** The bytes of a text in base64. */
function bytes(text) {
  if (Uint8Array.fromBase64 !== undefined) return Uint8Array.fromBase64(text);
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
  calls: [BYTES],
  source: `
/** Numbers in half precision: a sign, 5 bits of exponent, 10 of mantissa. */
function float16(text) {
  return Float32Array.from(new Uint16Array(bytes(text).buffer), (bits) => {
    const [exponent, mantissa] = [(bits >> 10) & 31, bits & 1023];
    const size = exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25);
    return bits < 0x8000 ? size : -size;
  });
}`,
};

const INT8: JsFunction = {
  name: "int8",
  source: `
/**
 * Numbers in 8 bits, each times the scale of its row; the rows lie by panels of so many, those of a column side by
 * side.
 */
function int8(values, scales, panel) {
  const columns = values.length / scales.length;
  const y = new Float32Array(values.length);
  for (let row = 0, i = 0; row < scales.length; row += panel) {
    const end = Math.min(row + panel, scales.length);
    for (let c = 0; c < columns; c++) {
      for (let r = row; r < end; r++, i++) y[i] = values[i] * scales[r];
    }
  }
  return y;
}`,
};

/** All functions that {@link weightsJs} may call. */
export const WEIGHT_FUNCTIONS: readonly JsFunction[] = [BYTES, FLOAT32, FLOAT16, INT8, UNPACKED];

/** The JavaScript of a constant's numbers, its rows by panels of `panel` rows. */
export function weightsJs({ data, shape, quantized, half }: Constant, panel: number, builder: JsBuilder): string {
  const [rows = 1] = shape;
  if (data.length <= SHORT) return `Float32Array.of(${Array.from(byPanels(data, rows, panel), decimal).join(", ")})`;
  if (quantized !== undefined) {
    const scales = builder.call(FLOAT32, base64(quantized.scales));
    return builder.call(INT8, int8Js(byPanels(quantized.values, rows, panel), builder), scales, panel);
  }
  return half === undefined
    ? builder.call(FLOAT32, base64(byPanels(data, rows, panel)))
    : builder.call(FLOAT16, base64(byPanels(half, rows, panel)));
}

/** 8-bit numbers in the shorter of two texts. */
function int8Js(values: Int8Array, builder: JsBuilder): string {
  const [packed, plain] = [JSON.stringify(packInt8(values)), base64(values)];
  if (packed.length < plain.length) return builder.call(UNPACKED, packed, values.length);
  return `new Int8Array(${builder.call(BYTES, plain)}.buffer)`;
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
