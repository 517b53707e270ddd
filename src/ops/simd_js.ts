import { type JsFunction, PANEL } from "../tensor/js_form.js";

/** Rows and columns of a weight that WebAssembly multiplies, at most: a row of x and one of y fill the first page. */
const MOST = 8192;
/** Numbers of a weight from which on it does: fewer take no longer in JavaScript. */
const LEAST = 2048;
const PAGE = 65536;

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
  load: [0xfd, 0x00],
  loadToAllLanes: [0xfd, 0x09],
  store: [0xfd, 0x0b],
  addVectors: [0xfd, 0xe4, 0x01],
  multiplyVectors: [0xfd, 0xe6, 0x01],
} as const;

const [I32, V128] = [0x7f, 0x7b];
/** The parameters of the function, then its variables. */
const [END, WEIGHT, PANELS, X, Y, A, B, LANES, ZERO] = Array.from({ length: 9 }, (_, i) => i);

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

const section = (id: number, ...items: (readonly number[])[]) => [id, ...vector(vector(items))];
const text = (characters: string) => vector([...Buffer.from(characters)]);

/** A module with a memory and this function. */
const MODULE = [
  ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...section(1, [0x60, ...vector([I32, I32, I32]), 0]),
  ...section(3, [0]),
  ...section(5, [0, 1]),
  ...section(7, [...text("memory"), 2, 0], [...text("product"), 0, 0]),
  ...section(10, vector(PRODUCT)),
];

/** Whether WebAssembly multiplies a weight of this shape. */
export function fitsSimd(rows: number, columns: number): boolean {
  return rows * columns >= LEAST && rows >= PANEL && rows <= MOST && columns <= MOST;
}

/** The function of exported modules that has WebAssembly multiply a weight. */
export const SIMD: JsFunction = {
  name: "simd",
  source: `
const webAssembly = compiled();

/**
 * WebAssembly with vectors of four numbers. Of so many panels of ${PANEL} rows, product(end, weight, panels) sums the
 * numbers of x, which lies from 0 to \`end\`, times their columns. Null where a runtime compiles none, as at the edge.
 */
function compiled() {
  try {
    const bytes = Uint8Array.of(${MODULE.join(", ")});
    return new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
  } catch {
    return null;
  }
}

/** The weight, with a product of its own for all whole panels if there is WebAssembly; else JavaScript multiplies. */
function simd(weight, inputs) {
  const { memory, product } = webAssembly ?? {};
  if (memory === undefined) return weight;
  const at = ${PAGE} * memory.grow(Math.ceil(weight.byteLength / ${PAGE}));
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
