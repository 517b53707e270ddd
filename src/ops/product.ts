import type { JsBuilder, JsFunction } from "../tensor/js_form.js";
import { LEAST, WEB_ASSEMBLY } from "./web_assembly.js";

const MATMUL: JsFunction = {
  name: "matmul",
  source: `
/** The matrix products of a [batch, m, k] and b [batch, k, n]; sums are in double precision. */
function matmul(a, b, k, n, batch = 1) {
  const rows = a.length / k;
  const y = new Float32Array(rows * n);
  const sums = new Float64Array(n);
  for (let row = 0; row < rows; row++) {
    let i = row * k;
    let at = Math.floor((row * batch) / rows) * k * n;
    const end = i + k;
    sums.fill(0);
    // Eight rows of b at a time: the sums are read and written once for all of them.
    for (; i + 8 <= end; i += 8, at += 8 * n) {
${Array.from({ length: 8 }, (_, r) => `      const a${r} = a[i + ${r}];`).join("\n")}
      for (let j = 0; j < n; j++) {
        const c = at + j;
        const first = a0 * b[c] + a1 * b[c + n] + a2 * b[c + 2 * n] + a3 * b[c + 3 * n];
        sums[j] += first + a4 * b[c + 4 * n] + a5 * b[c + 5 * n] + a6 * b[c + 6 * n] + a7 * b[c + 7 * n];
      }
    }
    for (; i < end; i++, at += n) {
      for (let j = 0; j < n; j++) sums[j] += a[i] * b[at + j];
    }
    y.set(sums, row * n);
  }
  return y;
}`,
};

/** The function of exported modules that has WebAssembly multiply matrices. */
export const PRODUCT: JsFunction = {
  name: "product",
  calls: [WEB_ASSEMBLY, MATMUL],
  source: `
/** As \`matmul\`, by WebAssembly if there is some: its sums are in single precision. */
function product(a, b, k, n, batch = 1) {
  if (webAssembly === null) return matmul(a, b, k, n, batch);
  const { numbers, end, multiply } = webAssembly;
  const rows = a.length / k / batch;
  let free = end;
  const addressOf = (values) => {
    // A weight is there.
    if (values.buffer === numbers.buffer) return values.byteOffset;
    const at = free;
    numbers.set(values, at);
    free += 4 * Math.ceil(values.length / 4);
    return 4 * at;
  };
  const [left, right] = [addressOf(a), addressOf(b)];
  for (let i = 0; i < batch; i++) {
    multiply(left + 4 * i * rows * k, right + 4 * i * k * n, 4 * (free + i * rows * n), rows, k, n);
  }
  return numbers.slice(free, free + batch * rows * n);
}`,
};

/** The function of exported modules that adds a bias. */
export const ADD_BIAS: JsFunction = {
  name: "addBias",
  source: `
/** Adds to y, in place, the numbers of a bias, each to so many in turn. */
function addBias(y, bias, each = 1) {
  for (let i = 0; i < y.length; ) {
    for (let c = 0; c < bias.length; c++) {
      for (const end = i + each; i < end; i++) y[i] += bias[c];
    }
  }
  return y;
}`,
};

/** The JavaScript of matrix products [batch, m, k] times [batch, k, n]. */
export function productJs(
  [a, b]: readonly [string, string],
  [batch, m, k, n]: readonly [batch: number, m: number, k: number, n: number],
  { call, room }: JsBuilder,
): string {
  const sizes = batch === 1 ? [k, n] : [k, n, batch];
  if (batch * m * k * n < LEAST) return call(MATMUL, a, b, ...sizes);
  room(batch * (m * k + k * n + m * n));
  return call(PRODUCT, a, b, ...sizes);
}
