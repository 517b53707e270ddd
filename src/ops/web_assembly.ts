import { type JsFunction, PANEL } from "../tensor/js_form.js";

/** Rows and columns of a weight that WebAssembly multiplies, at most: a row of x and one of y fill the first page. */
const MOST = 8192;
/** Numbers of a weight from which on it does: fewer take no longer in JavaScript. */
const LEAST = 2048;
const PAGE = 65536;

/** Of the texts of 8-bit numbers: what the shares of all numbers add up to, the least state, and how many digits. */
export const SLOTS = 4096;
export const LEAST_STATE = 2 ** 20;
export const BASE = 92;

/** Instructions of WebAssembly, as its binary format has them. */
const WASM = {
  block: [0x02, 0x40],
  loop: [0x03, 0x40],
  end: [0x0b],
  br: [0x0c],
  brIf: [0x0d],
  get: [0x20],
  set: [0x21],
  const: [0x41],
  eqz: [0x45],
  less: [0x49],
  add: [0x6a],
  sub: [0x6b],
  multiply: [0x6c],
  and: [0x71],
  shiftLeft: [0x74],
  shiftRight: [0x76],
  loadNumber: [0x28],
  loadByte: [0x2d],
  storeByte: [0x3a],
  load: [0xfd, 0x00],
  loadToAllLanes: [0xfd, 0x09],
  store: [0xfd, 0x0b],
  addVectors: [0xfd, 0xe4, 0x01],
  multiplyVectors: [0xfd, 0xe6, 0x01],
} as const;

const [I32, V128] = [0x7f, 0x7b];

/** An instruction with its numbers. */
function op(name: keyof typeof WASM, ...numbers: number[]): number[] {
  return [...WASM[name], ...numbers.flatMap(leb)];
}

/** A whole number in the variable length of the format, LEB128 with a sign: the numbers here are below 2^31. */
function leb(n: number): number[] {
  return n < 64 ? [n] : [(n & 127) | 128, ...leb(n >> 7)];
}

function vector(bytes: readonly (number | readonly number[])[]): number[] {
  return [...leb(bytes.length), ...bytes.flat()];
}

/** The parameters of the product, then its variables. */
const [END, WEIGHT, PANELS, X, Y, A, B, LANES, ZERO] = Array.from({ length: 9 }, (_, i) => i);

/** x of this vector of four, times a weight's, added to a sum. */
const multiplyAdd = (sum: number, offset: number) => [
  ...op("get", sum),
  ...[...op("get", LANES), ...op("get", WEIGHT), ...op("load", 2, offset), ...op("multiplyVectors")],
  ...[...op("addVectors"), ...op("set", sum)],
];

const step = (variable: number, name: "add" | "sub", by: number) => [
  ...[...op("get", variable), ...op("const", by), ...op(name), ...op("set", variable)],
];

const stored = (sum: number, offset: number) => [...op("get", Y), ...op("get", sum), ...op("store", 2, offset)];

/** product(end, weight, panels): of each panel the sums over x, which lies from 0 to `end`, of x times its rows. */
const PRODUCT = [
  ...vector([
    [2, I32],
    [4, V128],
  ]),
  ...[...op("const", PAGE / 2), ...op("set", Y)],
  ...op("block"),
  ...op("loop"),
  ...[...op("get", PANELS), ...op("eqz"), ...op("brIf", 1)],
  ...[...op("get", ZERO), ...op("set", A), ...op("get", ZERO), ...op("set", B), ...op("const", 0), ...op("set", X)],
  ...op("loop"),
  ...[...op("get", X), ...op("loadToAllLanes", 2, 0), ...op("set", LANES)],
  ...[...multiplyAdd(A, 0), ...multiplyAdd(B, 16)],
  ...[...step(WEIGHT, "add", 4 * PANEL), ...step(X, "add", 4)],
  ...[...op("get", X), ...op("get", END), ...op("less"), ...op("brIf", 0)],
  ...op("end"),
  ...[...stored(A, 0), ...stored(B, 16)],
  ...[...step(Y, "add", 4 * PANEL), ...step(PANELS, "sub", 1), ...op("br", 0)],
  ...op("end"),
  ...op("end"),
  ...op("end"),
];

/** The parameters of the decoder, then its variable. */
const [CODES, TO, LAST, STATE, SLOT] = Array.from({ length: 5 }, (_, i) => i);

const fieldOf = (variable: number, shift: number, mask: number) => [
  ...[...op("get", variable), ...op("const", shift), ...op("shiftRight"), ...op("const", mask), ...op("and")],
];

/**
 * decode(codes, to, last, state): the numbers of a text, one byte each from `to` to `last`, as `unpacked` reads them.
 * The slots lie at 0, the digits of codes behind them.
 */
const DECODE = [
  ...vector([[1, I32]]),
  ...op("loop"),
  ...[...fieldOf(STATE, 0, SLOTS - 1), ...op("const", 2), ...op("shiftLeft"), ...op("loadNumber", 2, 0)],
  ...[...op("set", SLOT), ...op("get", TO), ...op("get", SLOT), ...op("storeByte", 0, 0)],
  ...[...fieldOf(SLOT, 20, SLOTS - 1), ...op("const", 1), ...op("add")],
  ...[...op("get", STATE), ...op("const", 12), ...op("shiftRight"), ...op("multiply")],
  ...[...fieldOf(SLOT, 8, SLOTS - 1), ...op("add"), ...op("set", STATE)],
  ...[...op("block"), ...op("loop")],
  ...[...op("const", LEAST_STATE - 1), ...op("get", STATE), ...op("less"), ...op("brIf", 1)],
  ...[...op("get", STATE), ...op("const", BASE), ...op("multiply")],
  ...[...op("get", CODES), ...op("loadByte", 0, 0), ...op("loadByte", 0, 4 * SLOTS), ...op("add"), ...op("set", STATE)],
  ...[...step(CODES, "add", 1), ...op("br", 0)],
  ...[...op("end"), ...op("end")],
  ...[...step(TO, "add", 1), ...op("get", TO), ...op("get", LAST), ...op("less"), ...op("brIf", 0)],
  ...[...op("end"), ...op("end")],
];

const section = (id: number, ...items: (readonly number[])[]) => [id, ...vector(vector(items))];
const text = (characters: string) => vector([...Buffer.from(characters)]);

/** A module with a memory and these functions. */
const MODULE = [
  ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...section(1, [0x60, ...vector([I32, I32, I32]), 0], [0x60, ...vector([I32, I32, I32, I32]), 0]),
  ...section(3, [0], [1]),
  ...section(5, [0, 1]),
  ...section(7, [...text("memory"), 2, 0], [...text("product"), 0, 0], [...text("decode"), 0, 1]),
  ...section(10, vector(PRODUCT), vector(DECODE)),
];

const CODE = Buffer.from(MODULE).toString("base64");

/** Whether WebAssembly multiplies a weight of this shape. */
export function fitsSimd(rows: number, columns: number): boolean {
  return rows * columns >= LEAST && rows >= PANEL && rows <= MOST && columns <= MOST;
}

/** What exported modules have of WebAssembly. */
export const WEB_ASSEMBLY: JsFunction = {
  name: "webAssembly",
  source: `
const webAssembly = compiled();

/**
 * WebAssembly with vectors of four numbers. Of so many panels of ${PANEL} rows, product(end, weight, panels) sums the
 * numbers of x, which lies from 0 to \`end\`, times their columns; decode does what \`unpacked\` says. room(bytes) is a
 * place for so many, which is kept if \`free\` moves behind it. Null where a runtime compiles none, as at the edge.
 */
function compiled() {
  try {
    const bytes = Uint8Array.from(atob("${CODE}"), (character) => character.charCodeAt(0));
    const { memory, ...functions } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
    const room = function (length) {
      const missing = this.free + length - memory.buffer.byteLength;
      if (missing > 0) memory.grow(Math.ceil(missing / ${PAGE}));
      return this.free;
    };
    return { ...functions, memory, room, free: ${PAGE} };
  } catch {
    return null;
  }
}`,
};

/** The function of exported modules that has WebAssembly multiply a weight. */
export const SIMD: JsFunction = {
  name: "simd",
  calls: [WEB_ASSEMBLY],
  source: `
/** The weight, with a product of its own for all whole panels if there is WebAssembly; else JavaScript multiplies. */
function simd(weight, inputs) {
  if (webAssembly === null) return weight;
  const { memory, product } = webAssembly;
  const at = webAssembly.room(weight.byteLength);
  webAssembly.free += 16 * Math.ceil(weight.byteLength / 16);
  new Float32Array(memory.buffer).set(weight, at / 4);
  const panels = Math.floor(weight.length / inputs / ${PANEL});
  // The first page has x in one half and the sums in the other.
  weight.product = (x) => {
    const numbers = new Float32Array(memory.buffer);
    numbers.set(x);
    product(4 * inputs, at, panels);
    return numbers.subarray(${PAGE / 8}, ${PAGE / 8} + ${PANEL} * panels);
  };
  return weight;
}`,
};
