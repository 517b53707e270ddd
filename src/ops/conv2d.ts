import {
  argumentError,
  expectElements,
  expectInteger,
  expectOneOf,
  expectOptions,
  expectShape,
  MAX_LENGTH,
  show,
} from "../checks.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { isRecording } from "../tensor/autograd.js";
import { allocate } from "../tensor/buffer_pool.js";
import type { JsFunction } from "../tensor/js_form.js";
import { int, ints } from "../tensor/onnx_node.js";
import { currentPrecision } from "../tensor/precision.js";
import { numel } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";
import { ADD_BIAS, PRODUCT } from "./product.js";
import { RELU } from "./relu.js";
import { slice } from "./slice.js";
import { PLACED, placedNumbers, STORED, WEB_ASSEMBLY } from "./web_assembly.js";

/** A number of rows and one of columns; one number is both. */
export type Pair = number | readonly [rows: number, columns: number];

/**
 * Zeros around an image: so many on each side, none ("valid"), or as many as give outputs of the input's size ("same"),
 * of an odd number the additional one at the end. "same" needs stride 1.
 */
export type Padding<N = Pair> = N | "same" | "valid";

/** How a kernel moves over its input: each one number, or one for rows and one for columns. */
export interface Conv2dOptions {
  /** From one output to the next; default 1. */
  stride?: Pair;
  /** Default 0. */
  padding?: Padding;
  /** From one element of the kernel to the next; default 1. */
  dilation?: Pair;
  /**
   * Groups of channels that are convolved separately; as many groups as channels is a depthwise convolution. Default 1.
   */
  groups?: number;
}

/** What the operation is called with. */
export interface Conv2dAttributes {
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly groups: number;
  readonly relu: boolean;
  /** Whether operands are rounded to bfloat16, in its backward pass too. */
  readonly bfloat16?: boolean;
}

/** Numbers of an image's patches that lie in memory at a time, or those of one line, if these are more. */
const PATCHES = 65536;

const UNFOLD: JsFunction = {
  name: "unfold",
  calls: [WEB_ASSEMBLY],
  source: `
/**
 * What a number of a kernel meets in a channel [height, width], which is at \`from\` of x: of some lines of the output,
 * from the channel's \`line\` on, the columns from \`left\` on, in \`patches\` from \`to\` on. Outside it is 0.
 */
function unfold(x, from, [height, width], patches, to, rows, columns, line, lineStep, left, step) {
  if (webAssembly !== null) {
    const [source, target] = [x.byteOffset + 4 * from, patches.byteOffset + 4 * to];
    webAssembly.unfold(source, height, width, target, rows, columns, line, lineStep, left, step);
    return;
  }
  for (let row = 0; row < rows; row++, line += lineStep) {
    const isInside = line >= 0 && line < height;
    for (let c = 0, at = left; c < columns; c++, at += step) {
      patches[to++] = isInside && at >= 0 && at < width ? x[from + line * width + at] : 0;
    }
  }
}`,
};

const CONV2D: JsFunction = {
  name: "conv2d",
  calls: [UNFOLD, STORED, PLACED, PRODUCT],
  source: `
/**
 * The convolution of images [..., channels, height, width]: of so many lines of the output at a time, the product of
 * the weight and of what each of its numbers is multiplied by.
 */
function conv2d(x, weight, { size, output, kernel, stride, padding, dilation, groups, lines }) {
  const [channels, height, width] = size;
  const [outputs, rows, columns] = output;
  const area = kernel[0] * kernel[1];
  const images = x.length / (channels * height * width);
  const y = new Float32Array(images * outputs * rows * columns);
  const end = webAssembly === null ? 0 : webAssembly.end;
  const pixels = stored(x);
  const room = channels * area * lines * columns;
  const patches = webAssembly === null ? new Float32Array(room) : placed(room);
  for (let image = 0; image < images; image++) {
    for (let first = 0; first < rows; first += lines) {
      const count = Math.min(lines, rows - first);
      const length = count * columns;
      for (let i = 0; i < channels * area; i++) {
        const from = (image * channels + Math.floor(i / area)) * height * width;
        const line = first * stride[0] + dilation[0] * Math.floor((i % area) / kernel[1]) - padding[0];
        const left = dilation[1] * (i % kernel[1]) - padding[1];
        unfold(pixels, from, [height, width], patches, i * length, count, columns, line, stride[0], left, stride[1]);
      }
      const read = patches.subarray(0, channels * area * length);
      const sums = product(weight, read, (channels / groups) * area, length, groups);
      for (let o = 0; o < outputs; o++) {
        y.set(sums.subarray(o * length, (o + 1) * length), ((image * outputs + o) * rows + first) * columns);
      }
    }
  }
  // The memory is free again.
  if (webAssembly !== null) webAssembly.end = end;
  return y;
}`,
};

/** Inputs x [images, channels, height, width], weight, and bias if there is one; then ReLU if it was fused with it. */
const conv2dOp = defineOp<Conv2dAttributes, null>({
  name: "conv2d",
  forward(inputs, attributes) {
    const [x, weight, bias] = inputs;
    const shape = outputShape(x.shape, weight.shape, attributes);
    const data = allocate(numel(shape));
    native.conv2DForward({
      x: x.data,
      weight: weight.data,
      bias: bias === undefined ? null : bias.data,
      relu: attributes.relu,
      bfloat16: attributes.bfloat16 ?? false,
      // A step's images come together anyway; a prediction does not depend on what others ask for beside it.
      alone: !isRecording(inputs),
      out: data,
      xShape: [...x.shape],
      weightShape: [...weight.shape],
      window: windowOf(attributes),
    });
    return { data, shape, saved: null };
  },
  backward(upstream, [gradX, gradWeight, gradBias], { inputs: [x, weight], attributes, output }) {
    const grad = attributes.relu ? allocate(upstream.length) : upstream;
    if (attributes.relu) native.reluBackward(upstream, output, grad);
    native.conv2DBackward({
      grad,
      x: x.data,
      weight: weight.data,
      gradX,
      gradWeight,
      gradBias: gradBias ?? null,
      bfloat16: attributes.bfloat16 ?? false,
      xShape: [...x.shape],
      weightShape: [...weight.shape],
      window: windowOf(attributes),
    });
  },
  onnx({ inputs, attributes: { stride, padding, dilation, groups, relu } }, builder) {
    const attributes = [
      ints("strides", stride),
      ints("pads", [...padding, ...padding]),
      ints("dilations", dilation),
      int("group", groups),
    ];
    const conv = { type: "Conv", inputs, attributes };
    return relu ? { type: "Relu", inputs: [builder.node(conv)] } : conv;
  },
  lower: ({ relu, bfloat16 = false, ...attributes }) => ({
    kind: "conv2d",
    relu,
    bfloat16,
    window: windowOf(attributes),
  }),
  js({ inputs: [x, weight, bias], shapes: [from, kernels], attributes, shape }, { call, room }) {
    const { stride, padding, dilation, groups, relu } = attributes;
    const [size, output, kernel] = [from.slice(1), shape.slice(1), kernels.slice(2)];
    const [outputs, rows, columns] = output;
    const line = size[0] * numel(kernel) * columns;
    const lines = Math.min(rows, Math.max(1, Math.floor(PATCHES / line)));
    room(placedNumbers(numel(from)) + placedNumbers(lines * line) + numel(kernels) + lines * outputs * columns);
    const lists = Object.entries({ size, output, kernel, stride, padding, dilation });
    const options = lists.map(([name, numbers]) => `${name}: [${numbers.join(", ")}]`);
    const product = call(CONV2D, x, weight, `{ ${options.join(", ")}, groups: ${groups}, lines: ${lines} }`);
    const y = bias === undefined ? product : call(ADD_BIAS, product, bias, rows * columns);
    return relu ? call(RELU, y) : y;
  },
});

/**
 * Convolution of images: x [images, channels, height, width] with weight [outputs, channels / groups, rows, columns],
 * plus bias [outputs], gives [images, outputs, ...] with (length + 2 padding - dilation (size - 1) - 1) / stride + 1,
 * rounded down, rows and columns. `torch.nn.functional.conv2d`. In `noGrad` an image has the same bits in any batch;
 * where gradients are recorded, small images of a large batch are summed in another order.
 *
 * @throws DistilleryError `SHAPE_MISMATCH` with both shapes if channels, groups and weight do not fit, or the kernel is
 * larger than its padded input; `BAD_ARGUMENT` for an option out of its range.
 * @example
 * ```ts
 * F.conv2d(randn([8, 3, 32, 32]), randn([16, 3, 3, 3]), null, { padding: 1 }).shape; // [8, 16, 32, 32]
 * ```
 */
export function conv2d(x: Tensor, weight: Tensor, bias: Tensor | null = null, options: Conv2dOptions = {}): Tensor {
  expectTensor("conv2d: x", x);
  expectTensor("conv2d: weight", weight);
  expectShape("conv2d: weight", weight.shape, [-1, -1, -1, -1]);
  const { before, ...window } = conv2dAttributes("conv2d", options, weight.shape.slice(2));
  const attributes = {
    ...window,
    relu: false,
    ...(currentPrecision() === "bfloat16" && { bfloat16: true }),
  };
  if (bias !== null) {
    expectTensor("conv2d: bias", bias);
    expectShape("conv2d: bias", bias.shape, [weight.shape[0]]);
  }
  outputShape(x.shape, weight.shape, attributes);
  const out = conv2dOp(bias === null ? [x, weight] : [x, weight, bias], attributes);
  return before.reduce((y, count, i) => (count === 0 ? y : slice(y, count, undefined, { dim: 2 + i })), out);
}

/**
 * The options of a convolution, checked, with their defaults. "same" padding in numbers is that of the kernel, alike on
 * both sides: `before` are the outputs at the start that its shorter side does not have.
 */
export function conv2dAttributes(what: string, options: Conv2dOptions, kernel: readonly number[]) {
  expectOptions(what, options, ["stride", "padding", "dilation", "groups"]);
  const { stride: steps = 1, padding = 0, dilation: gaps = 1, groups = 1 } = options;
  const [stride, dilation] = [pairOf("stride", steps, 1), pairOf("dilation", gaps, 1)];
  if (typeof padding === "string") expectOneOf("padding", padding, ["same", "valid"]);
  const step = stride.find((n) => n !== 1);
  if (padding === "same" && step !== undefined) throw argumentError("padding", `"same" needs stride 1, got ${step}`);
  const total = padding === "same" ? kernel.map((size, i) => dilation[i] * (size - 1)) : [0, 0];
  const [rows, columns] = total.map((zeros) => Math.ceil(zeros / 2));
  return {
    stride,
    padding: typeof padding === "string" ? ([rows, columns] as const) : pairOf("padding", padding, 0),
    dilation,
    groups: expectInteger("groups", groups, 1, MAX_LENGTH),
    before: total.map((zeros) => zeros % 2),
  };
}

/** A number for rows and one for columns, each of at least `least`. */
export function pairOf(name: string, value: Pair, least: number): readonly [number, number] {
  if (typeof value === "number") {
    const both = expectInteger(name, value, least, MAX_LENGTH);
    return [both, both];
  }
  if (!Array.isArray(value) || value.length !== 2) {
    const got = Array.isArray(value) ? `[${value.join(", ")}]` : show(value);
    throw argumentError(name, `expected a number, or one for rows and one for columns, got ${got}`);
  }
  const [rows, columns] = value;
  return [
    expectInteger(`${name}[0]`, rows, least, MAX_LENGTH),
    expectInteger(`${name}[1]`, columns, least, MAX_LENGTH),
  ];
}

/** The output's shape; refuses shapes that do not fit each other, with both. */
function outputShape(
  x: readonly number[],
  weight: readonly number[],
  { stride, padding, dilation, groups }: Omit<Conv2dAttributes, "relu">,
): number[] {
  const refusal = (expected: string) => {
    const got = `x [${x.join(", ")}] and weight [${weight.join(", ")}]`;
    return new DistilleryError("SHAPE_MISMATCH", `conv2d: expected ${expected}, got ${got}`);
  };
  if (x.length !== 4) throw refusal("x [images, channels, height, width]");
  if (x[1] % groups !== 0 || weight[0] % groups !== 0)
    throw refusal(`channels and outputs that ${groups} groups divide`);
  if (weight[0] === 0) throw refusal("a weight of at least one output");
  if (x[1] / groups !== weight[1])
    throw refusal(`x of ${weight[1] * groups} channels in ${groups} ${groups === 1 ? "group" : "groups"}`);
  const whole = [x[2] + 2 * padding[0], x[3] + 2 * padding[1]];
  const reach = [dilation[0] * (weight[2] - 1) + 1, dilation[1] * (weight[3] - 1) + 1];
  if (weight[2] === 0 || weight[3] === 0 || reach[0] > whole[0] || reach[1] > whole[1]) {
    throw refusal(`a kernel that fits its padded input: it covers [${reach.join(", ")}] of [${whole.join(", ")}]`);
  }
  const lengths = whole.map((length, axis) => Math.floor((length - reach[axis]) / stride[axis]) + 1);
  expectElements("conv2d: output", [x[0], weight[0], ...lengths]);
  return [x[0], weight[0], ...lengths];
}

/** The numbers of a window as the kernels take them. */
export function windowOf({ stride, padding, dilation, groups }: Omit<Conv2dAttributes, "relu">): number[] {
  return [...stride, ...padding, ...dilation, groups];
}
