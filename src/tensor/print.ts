import { types } from "node:util";
import { DistilleryError } from "../errors.js";
import { numel } from "./shape.js";

/**
 * Values beyond this number are shown as the first and last few of each axis. PyTorch's `threshold` and `edgeitems`.
 */
const MAX = 1000;
const EDGE = 3;
const LINE = 80;

/** What is printed. */
interface Printable {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly requiresGrad?: boolean;
}

/**
 * A tensor as text, with the values as PyTorch prints them (four digits, large ones shortened), its shape and type.
 * Without values, `what` stands in their place.
 */
export function printTensor(tensor: Printable, data: ArrayLike<number> | BigInt64Array | null, what = "..."): string {
  const { dtype, shape, requiresGrad } = tensor;
  const traits = [`shape=[${shape.join(", ")}]`, `dtype=${dtype}`, ...(requiresGrad ? ["requiresGrad=true"] : [])];
  // A million rows without elements are as empty as one.
  const values = data === null ? what : data.length === 0 ? "[]" : valuesOf(data, shape);
  return `tensor(${values}, ${traits.join(", ")})`;
}

/** `Symbol.toPrimitive`: arithmetic and comparisons of JavaScript with a tensor would be NaN, false or text. */
export function asPrimitive(tensor: object, hint: string): string {
  // For `+` the hint is "default", whatever the other operand is.
  if (hint === "string") return tensor.toString();
  const text = `expected a number, got a tensor: item() gives that of one element, and \`\${x}\` the text`;
  throw new DistilleryError("BAD_ARGUMENT", `${text}; add(), mul(), lt() and the others compute with tensors`);
}

function valuesOf(data: ArrayLike<number> | BigInt64Array, shape: readonly number[]): string {
  if (types.isFloat32Array(data)) return printValues(data, shape, floatFormat);
  const format = () => String;
  return types.isBigInt64Array(data) ? printValues(data, shape, format) : printValues(data, shape, format);
}

function printValues<T>(
  data: ArrayLike<T>,
  shape: readonly number[],
  formatOf: (shown: readonly T[]) => (value: T) => string,
): string {
  const isLong = data.length > MAX;
  /** The places along an axis; -1 for those left out. */
  const placesOf = (length: number): number[] => {
    if (!isLong || length <= 2 * EDGE) return Array.from({ length }, (_, i) => i);
    return [
      ...Array.from({ length: EDGE }, (_, i) => i),
      -1,
      ...Array.from({ length: EDGE }, (_, i) => length - EDGE + i),
    ];
  };
  const shown = shownValues(data, shape, placesOf);
  const format = formatOf(shown);
  const width = shown.reduce((widest, value) => Math.max(widest, format(value).length), 0);
  const lines = (axis: number, start: number): string => {
    if (axis === shape.length) return format(data[start]).padStart(width);
    const stride = numel(shape.slice(axis + 1));
    const items = placesOf(shape[axis]).map((at) => (at < 0 ? "..." : lines(axis + 1, start + at * stride)));
    const before = "tensor(".length + axis;
    const indent = " ".repeat(before + 1);
    if (axis < shape.length - 1) return `[${items.join(`,${"\n".repeat(shape.length - axis - 1)}${indent}`)}]`;
    const perLine = Math.max(1, Math.floor((LINE - before) / (width + 2)));
    const rows = Array.from({ length: Math.ceil(items.length / perLine) }, (_, i) =>
      items.slice(i * perLine, (i + 1) * perLine).join(", "),
    );
    return `[${rows.join(`,\n${indent}`)}]`;
  };
  return lines(0, 0);
}

function shownValues<T>(data: ArrayLike<T>, shape: readonly number[], placesOf: (length: number) => number[]): T[] {
  let starts = [0];
  for (const length of shape) {
    const places = placesOf(length).filter((at) => at >= 0);
    starts = starts.flatMap((start) => places.map((at) => start * length + at));
  }
  return starts.map((at) => data[at]);
}

/** As PyTorch chooses: whole numbers with a point, four digits, or an exponent if the values are far apart. */
function floatFormat(values: readonly number[]): (value: number) => string {
  const sizes = values.map(Math.abs).filter((size) => size > 0 && size < Infinity);
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)];
  const isWhole = sizes.every(Number.isInteger);
  const isWide = sizes.length > 0 && (most / least > 1000 || most > 1e8 || (!isWhole && least < 1e-4));
  return (value) => {
    if (Number.isNaN(value)) return "nan";
    if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
    const sign = Object.is(value, -0) ? "-" : "";
    if (isWide) return sign + value.toExponential(4).replace(/e([+-])(\d)$/, "e$10$2");
    return sign + (isWhole ? `${value}.` : value.toFixed(4));
  };
}
