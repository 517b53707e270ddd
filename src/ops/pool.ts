import { expectElements } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import type { JsBuilder, JsFunction, JsStep } from "../tensor/js_form.js";
import { int, ints, type OnnxAttribute, type OnnxBuilder, type OnnxNode, type OnnxStep } from "../tensor/onnx_node.js";
import { numel } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import type { Pair } from "./conv2d.js";
import { defineOp } from "./define_op.js";
import {
  type AdaptiveSize,
  type AvgPool2dOptions,
  type Axis,
  adaptiveSize,
  adaptiveSpans,
  avgPool2dWindows,
  type MaxPool2dOptions,
  maxPool2dWindows,
  spansOf,
} from "./pool_windows.js";

interface Attributes {
  /** The windows of rows and columns of outputs, as the kernels take them. */
  readonly windows: readonly [number[], number[]];
  readonly scale: number;
  /** The attributes of the ONNX node; null for windows that ONNX lacks. */
  readonly onnx: Onnx | null;
}

interface Onnx {
  readonly axes: readonly [Axis, Axis];
  /** Of an image's rows and columns. */
  readonly lengths: readonly number[];
  readonly countIncludePad: boolean;
}

/**
 * The first version of ONNX's operators that leaves out, as PyTorch, a last window which begins in the padding after
 * the input.
 */
const LEAVES_WINDOWS_OUT = 22;

const WINDOWS: JsFunction = {
  name: "windows",
  source: `
/**
 * y[i] = f(elements, count) of each window of images [height, width]: four numbers a window are start, end, step,
 * count.
 */
function windows(x, height, width, rows, columns, f) {
  const y = [];
  for (let plane = 0; plane < x.length; plane += height * width) {
    for (let r = 0; r < rows.length; r += 4) {
      for (let c = 0; c < columns.length; c += 4) {
        const elements = [];
        for (let i = rows[r]; i < rows[r + 1]; i += rows[r + 2]) {
          for (let j = columns[c]; j < columns[c + 1]; j += columns[c + 2]) elements.push(x[plane + i * width + j]);
        }
        y.push(f(elements, rows[r + 3] * columns[c + 3]));
      }
    }
  }
  return Float32Array.from(y);
}`,
};

const MAX_POOL: JsFunction = {
  name: "maxPool2d",
  calls: [WINDOWS],
  source: `
/** The largest element of each window. */
function maxPool2d(x, height, width, rows, columns) {
  return windows(x, height, width, rows, columns, (elements) => elements.reduce((a, b) => Math.max(a, b)));
}`,
};

const AVG_POOL: JsFunction = {
  name: "avgPool2d",
  calls: [WINDOWS],
  source: `
/** The mean of each window, times a factor. */
function avgPool2d(x, height, width, rows, columns, factor = 1) {
  const mean = (elements, count) => (factor * elements.reduce((sum, v) => sum + v, 0)) / count;
  return windows(x, height, width, rows, columns, mean);
}`,
};

function poolJs(
  pool: JsFunction,
  { inputs: [x], shapes: [from], attributes }: JsStep<Attributes>,
  { call, list }: JsBuilder,
  ...rest: number[]
): string {
  const [height, width] = from.slice(-2);
  const [rows, columns] = attributes.windows;
  return call(pool, x, height, width, list("rows", rows), list("columns", columns), ...rest);
}

/** ONNX has no pooling of [images, height, width]. */
function poolOnnx(
  type: string,
  { inputs, shape }: OnnxStep<Attributes>,
  attributes: readonly OnnxAttribute[],
  builder: OnnxBuilder,
): OnnxNode {
  if (shape.length === 4) return { type, inputs, attributes };
  const channels = builder.integers("axes", [1]);
  const x = builder.node({ type: "Unsqueeze", inputs: [...inputs, channels] });
  return { type: "Squeeze", inputs: [builder.node({ type, inputs: [x], attributes }), channels] };
}

const maxPoolOp = defineOp<Attributes, null>({
  name: "maxPool2d",
  forward([x], attributes) {
    const { data, shape } = outputOf(x, attributes);
    native.maxPoolForward({ x: x.data, out: data, windows: windowsOf(x, attributes), scale: 1 });
    return { data, shape, saved: null };
  },
  backward(grad, [into], { inputs: [x], attributes }) {
    if (into) native.maxPoolBackward({ grad, x: x.data, gradX: into, windows: windowsOf(x, attributes), scale: 1 });
  },
  onnx(step, builder) {
    const onnx = step.attributes.onnx as Onnx;
    const dilations = ints("dilations", [onnx.axes[0].dilation, onnx.axes[1].dilation]);
    return poolOnnx("MaxPool", step, [...windowAttributes(step.attributes.windows, onnx, builder), dilations], builder);
  },
  lower: ({ windows: [rows, columns] }) => ({ kind: "maxPool2d", rows, columns }),
  js: (step, builder) => poolJs(MAX_POOL, step, builder),
});

const avgPoolOp = defineOp<Attributes, null>({
  name: "avgPool2d",
  forward([x], attributes) {
    const { data, shape } = outputOf(x, attributes);
    native.avgPoolForward({ x: x.data, out: data, windows: windowsOf(x, attributes), scale: attributes.scale });
    return { data, shape, saved: null };
  },
  backward(grad, [into], { inputs: [x], attributes }) {
    const { scale } = attributes;
    if (into) native.avgPoolBackward({ grad, x: x.data, gradX: into, windows: windowsOf(x, attributes), scale });
  },
  onnx(step, builder) {
    const { onnx, windows } = step.attributes;
    if (onnx === null) throw builder.refusal("the windows of a pooling differ in size, or have a divisor of their own");
    const counted = int("count_include_pad", onnx.countIncludePad ? 1 : 0);
    const attributes = [...windowAttributes(windows, onnx, builder), counted];
    return poolOnnx("AveragePool", step, attributes, builder);
  },
  lower: ({ windows: [rows, columns], scale }) => ({ kind: "avgPool2d", rows, columns, factor: scale }),
  js: (step, builder) =>
    poolJs(AVG_POOL, step, builder, ...(step.attributes.scale === 1 ? [] : [step.attributes.scale])),
});

/**
 * The largest element of each window of x [..., height, width]: [..., rows, columns]. NaN counts as the largest; the
 * gradient goes to the first of equals. `torch.nn.functional.max_pool2d`.
 *
 * @throws DistilleryError `SHAPE_MISMATCH` with both shapes for a kernel larger than its padded input; `BAD_ARGUMENT`
 * for an option out of its range.
 * @example
 * ```ts
 * F.maxPool2d(randn([8, 16, 32, 32]), 2).shape; // [8, 16, 16, 16]
 * ```
 */
export function maxPool2d(x: Tensor, kernelSize: Pair, options: MaxPool2dOptions = {}): Tensor {
  expectImages("maxPool2d", x);
  const { ceilMode, axes } = maxPool2dWindows(kernelSize, options);
  const windows = spansOf("maxPool2d", x, axes, ceilMode);
  return maxPoolOp([x], { windows, scale: 1, onnx: { axes, lengths: x.shape.slice(-2), countIncludePad: false } });
}

/**
 * The mean of each window of x [..., height, width]: [..., rows, columns]. `torch.nn.functional.avg_pool2d`.
 *
 * @throws DistilleryError as {@link maxPool2d}.
 * @example
 * ```ts
 * F.avgPool2d(randn([8, 64, 8, 8]), 8).shape; // [8, 64, 1, 1]
 * ```
 */
export function avgPool2d(x: Tensor, kernelSize: Pair, options: AvgPool2dOptions = {}): Tensor {
  expectImages("avgPool2d", x);
  const { ceilMode, axes, countIncludePad, divisorOverride } = avgPool2dWindows(kernelSize, options);
  const windows = spansOf("avgPool2d", x, axes, ceilMode, countIncludePad && divisorOverride === null);
  const onnx = { axes, lengths: x.shape.slice(-2), countIncludePad };
  if (divisorOverride === null) return avgPoolOp([x], { windows, scale: 1, onnx });
  // The sums: each counts as one element.
  const sums = windows.map((spans) => spans.map((n, i) => (i % 4 === 3 ? 1 : n))) as [number[], number[]];
  return avgPoolOp([x], { windows: sums, scale: 1 / divisorOverride, onnx: null });
}

/**
 * The mean of windows that divide x [..., height, width] into so many rows and columns; null keeps a length. Output i
 * of n covers floor(i length / n) to ceil((i + 1) length / n). `torch.nn.functional.adaptive_avg_pool2d`.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for another size, `SHAPE_MISMATCH` for x of fewer than three axes or without
 * elements.
 * @example
 * ```ts
 * F.adaptiveAvgPool2d(randn([8, 512, 7, 7]), 1).shape; // [8, 512, 1, 1]
 * ```
 */
export function adaptiveAvgPool2d(x: Tensor, outputSize: AdaptiveSize): Tensor {
  expectImages("adaptiveAvgPool2d", x);
  const lengths = x.shape.slice(-2);
  const sizes = adaptiveSize(outputSize).map((size, axis) => size ?? lengths[axis]);
  expectElements("adaptiveAvgPool2d: output", [...x.shape.slice(0, -2), ...sizes]);
  const windows = sizes.map((size, axis) => adaptiveSpans(lengths[axis], size)) as [number[], number[]];
  const isEven = lengths.every((length, axis) => length % sizes[axis] === 0);
  const axes = sizes.map((size, axis) => {
    const width = lengths[axis] / size;
    return { size: width, stride: width, padding: 0, dilation: 1 };
  }) as [Axis, Axis];
  const onnx = isEven ? { axes, lengths, countIncludePad: false } : null;
  return avgPoolOp([x], { windows, scale: 1, onnx });
}

function expectImages(name: string, x: Tensor): void {
  expectTensor(`${name}: x`, x);
  const [height = 0, width = 0] = x.shape.slice(-2);
  if ((x.shape.length === 3 || x.shape.length === 4) && height > 0 && width > 0) return;
  const text = `${name}: expected x [images, channels, height, width], got [${x.shape.join(", ")}]`;
  throw new DistilleryError("SHAPE_MISMATCH", text);
}

function outputOf(x: Tensor, { windows: [rows, columns] }: Attributes) {
  const shape = [...x.shape.slice(0, -2), rows.length / 4, columns.length / 4];
  return { shape, data: allocate(numel(shape)) };
}

function windowsOf({ shape }: Tensor, { windows: [rows, columns] }: Attributes) {
  const [height, width] = shape.slice(-2);
  return { height, width, rows, columns };
}

/** `ceil_mode` only if an axis has more windows than fit: then the padding after the other is cut to its windows. */
function windowAttributes(windows: Attributes["windows"], { axes, lengths }: Onnx, builder: OnnxBuilder) {
  const beyond = axes.map(({ size, padding, dilation }, i) => lengths[i] + 2 * padding - dilation * (size - 1) - 1);
  const hasMore = axes.map(({ stride }, i) => windows[i].length / 4 > Math.floor(beyond[i] / stride) + 1);
  const ceilMode = hasMore.includes(true);
  const before = axes.map(({ padding }) => padding);
  const cut = axes.map(({ padding, stride }, i) => (hasMore[i] ? padding : padding - (beyond[i] % stride)));
  const after = ceilMode && builder.opset < LEAVES_WINDOWS_OUT ? cut : before;
  if (after.some((length) => length < 0)) {
    throw builder.refusal(`ceilMode leaves out a window of one axis alone, which needs opset ${LEAVES_WINDOWS_OUT}`);
  }
  return [
    ints("kernel_shape", [axes[0].size, axes[1].size]),
    ints("strides", [axes[0].stride, axes[1].stride]),
    ints("pads", [...before, ...after]),
    int("ceil_mode", ceilMode ? 1 : 0),
  ];
}
