import { badArgument, expectFlags, expectInteger, expectLength, expectOptions } from "../checks.js";
import { DistilleryError } from "../errors.js";
import type { Tensor } from "../tensor/tensor.js";
import { type Pair, pairOf } from "./conv2d.js";

/** Lengths of an axis of windows. */
export interface Axis {
  readonly size: number;
  readonly stride: number;
  readonly padding: number;
  readonly dilation: number;
}

/** Windows along an axis, at most: the kernels are given each. */
const MAX_WINDOWS = 2 ** 20;

/** The options of max pooling's windows. */
export interface MaxPool2dOptions {
  /** From one window to the next; default: the size of the kernel. */
  stride?: Pair;
  /** Elements on each side that are smaller than all; at most half of the kernel; default 0. */
  padding?: Pair;
  /** From one element of a window to the next; default 1. */
  dilation?: Pair;
  /** Whether a last window may reach beyond the input; default false. */
  ceilMode?: boolean;
}

/** The options of average pooling's windows. */
export interface AvgPool2dOptions {
  /** From one window to the next; default: the size of the kernel. */
  stride?: Pair;
  /** Zeros on each side; at most half of the kernel; default 0. */
  padding?: Pair;
  /** Whether a last window may reach beyond the input; default false. */
  ceilMode?: boolean;
  /** Whether the zeros of the padding count in the mean; default true. */
  countIncludePad?: boolean;
  /** What a sum is divided by in place of the number of elements. */
  divisorOverride?: number | null;
}

/** Rows and columns of adaptive average pooling; one number is both, null is that of the input. */
export type AdaptiveSize = number | readonly [number | null, number | null];

/** Rows and columns, checked. */
export function adaptiveSize(size: AdaptiveSize): readonly [number | null, number | null] {
  const pair = typeof size === "number" ? [size, size] : size;
  if (!Array.isArray(pair) || pair.length !== 2) {
    throw badArgument("outputSize", "a number, or one for rows and one for columns", size);
  }
  const [rows, columns] = pair.map((n, i) =>
    n === null ? null : expectInteger(`outputSize[${i}]`, n, 1, MAX_WINDOWS),
  );
  return [rows, columns];
}

/** The windows of max pooling, checked. */
export function maxPool2dWindows(kernelSize: Pair, options: MaxPool2dOptions) {
  expectOptions("maxPool2d", options, ["stride", "padding", "dilation", "ceilMode"]);
  const { ceilMode = false, dilation = 1 } = options;
  expectFlags({ ceilMode });
  return { axes: axesOf(kernelSize, options, dilation), ceilMode };
}

/** The windows of average pooling, checked. */
export function avgPool2dWindows(kernelSize: Pair, options: AvgPool2dOptions) {
  expectOptions("avgPool2d", options, ["stride", "padding", "ceilMode", "countIncludePad", "divisorOverride"]);
  const { ceilMode = false, countIncludePad = true, divisorOverride = null } = options;
  expectFlags({ ceilMode, countIncludePad });
  if (divisorOverride !== null) expectLength("divisorOverride", divisorOverride);
  return { axes: axesOf(kernelSize, options, 1), ceilMode, countIncludePad, divisorOverride };
}

function axesOf(kernelSize: Pair, given: { stride?: Pair; padding?: Pair }, dilated: Pair): readonly [Axis, Axis] {
  const size = pairOf("kernelSize", kernelSize, 1);
  const stride = pairOf("stride", given.stride ?? kernelSize, 1);
  const padding = pairOf("padding", given.padding ?? 0, 0);
  const dilation = pairOf("dilation", dilated, 1);
  const axis = (i: 0 | 1): Axis => {
    if (padding[i] <= size[i] / 2) {
      return { size: size[i], stride: stride[i], padding: padding[i], dilation: dilation[i] };
    }
    throw badArgument("padding", `at most ${Math.floor(size[i] / 2)}, half of the kernel`, padding[i]);
  };
  return [axis(0), axis(1)];
}

/** Four numbers a window, as the kernels take them: first, end, step, and what a mean counts. */
export function spansOf(
  name: string,
  x: Tensor,
  axes: readonly [Axis, Axis],
  ceilMode: boolean,
  countsPadding = false,
): [number[], number[]] {
  const spans = axes.map(({ size, stride, padding, dilation }, i) => {
    const length = x.shape[x.shape.length - 2 + i];
    const reach = dilation * (size - 1) + 1;
    const beyond = length + 2 * padding - reach;
    let outputs = (ceilMode ? Math.ceil(beyond / stride) : Math.floor(beyond / stride)) + 1;
    if (outputs < 1) {
      const sizes = axes.map(({ size }) => size).join(", ");
      const text = `expected a kernel that fits its padded input, got x [${x.shape.join(", ")}] and kernel [${sizes}]`;
      throw new DistilleryError("SHAPE_MISMATCH", `${name}: ${text}`);
    }
    // The last window begins inside of the input or its padding before.
    if (ceilMode && (outputs - 1) * stride >= length + padding) outputs -= 1;
    return Array.from({ length: outputs }, (_, o) => {
      const begin = o * stride - padding;
      // A window may lie in the padding as a whole: it is empty then.
      const start = Math.min(begin < 0 ? begin + Math.ceil(-begin / dilation) * dilation : begin, length);
      const end = Math.min(begin + reach, length);
      const counted = countsPadding ? Math.min(begin + reach, length + padding) - begin : end - start;
      return [start, Math.max(start, end), dilation, counted];
    }).flat();
  });
  return [spans[0], spans[1]];
}

/** The same for windows that divide a length into so many outputs. */
export function adaptiveSpans(length: number, outputs: number): number[] {
  return Array.from({ length: outputs }, (_, i) => {
    const [start, end] = [Math.floor((i * length) / outputs), Math.ceil(((i + 1) * length) / outputs)];
    return [start, end, 1, end - start];
  }).flat();
}
