import { readFileSync } from "node:fs";
import { ROOT } from "../package.js";
import type { JsFunction } from "../tensor/js_form.js";

const PAGE_BYTES = 65536;
/** Numbers that a row may be read or written beyond its end, and what addresses are rounded to. */
const LANES = 4;

/** Multiplications of a product from which on WebAssembly pays: fewer take no longer in JavaScript. */
export const LEAST = 2048;

let built: string | undefined;

/** What scripts/web_assembly.mjs made of web_assembly.wat, in base64. */
function code(): string {
  built ??= readFileSync(new URL("dist/ops/web_assembly.wasm", ROOT)).toString("base64");
  return built;
}

/** The numbers that {@link PLACED} keeps for so many. */
export function placedNumbers(length: number): number {
  return LANES * Math.ceil(length / LANES) + LANES;
}

/** The statement of exported modules that compiles WebAssembly: with room for weights, and for what is beside them. */
export function webAssemblyJs(weights: number, room: number): string {
  return `const webAssembly = compiled(${Math.ceil((4 * (weights + room + 4 * LANES)) / PAGE_BYTES)});`;
}

/** The function of exported modules that compiles WebAssembly. */
export const WEB_ASSEMBLY: JsFunction = {
  name: "compiled",
  get source() {
    return `
/**
 * WebAssembly's functions, and its memory of so many pages: first weights, then, from \`end\` on, room for what a
 * function reads and writes. Null where a runtime compiles none, as at the edge.
 */
function compiled(pages) {
  try {
    const memory = new WebAssembly.Memory({ initial: pages });
    const code = Uint8Array.from(atob("${code()}"), (character) => character.charCodeAt(0));
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), { js: { memory } });
    return { ...exports, bytes: new Uint8Array(memory.buffer), numbers: new Float32Array(memory.buffer), end: 0 };
  } catch {
    return null;
  }
}`;
  },
};

/** The function of exported modules that keeps a part of WebAssembly's memory. */
export const PLACED: JsFunction = {
  name: "placed",
  calls: [WEB_ASSEMBLY],
  source: `
/** A part of WebAssembly's memory for so many numbers, which is kept. */
function placed(length) {
  const { numbers, end } = webAssembly;
  webAssembly.end += ${LANES} * Math.ceil(length / ${LANES}) + ${LANES};
  return numbers.subarray(end, end + length);
}`,
};

/** The function of exported modules that puts a weight there. */
export const STORED: JsFunction = {
  name: "stored",
  calls: [PLACED],
  source: `
/** The numbers in WebAssembly's memory, if there is some: a product needs no copy of them. */
function stored(values) {
  if (webAssembly === null) return values;
  const y = placed(values.length);
  y.set(values);
  return y;
}`,
};
