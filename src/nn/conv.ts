import {
  badArgument,
  expectElements,
  expectFlags,
  expectInteger,
  expectLength,
  expectOptions,
  expectShape,
  MAX_LENGTH,
} from "../checks.js";
import { DistilleryError } from "../errors.js";
import { conv2dAttributes, pairOf } from "../ops/conv2d.js";
import type { Conv2dOptions, Padding, Pair } from "../ops/index.js";
import { rand } from "../tensor/random.js";
import { numel } from "../tensor/shape.js";
import { expectTensor, Parameter, type Tensor } from "../tensor/tensor.js";
import { conv2d } from "./functional.js";
import { Module } from "./module.js";

/** The options of {@link Conv2d}, with PyTorch's defaults. */
export interface ConvOptions extends Conv2dOptions {
  /** Whether there is a bias to learn; default true. */
  bias?: boolean;
}

/** The options of {@link Conv1d}: as those of {@link Conv2d}, each one number. */
export interface Conv1dOptions {
  stride?: number;
  padding?: Padding<number>;
  dilation?: number;
  groups?: number;
  bias?: boolean;
}

/**
 * What both convolutions hold: weight [outputs, channels / groups, ...kernel], then bias, uniform in ±1/sqrt(inputs of
 * an output).
 */
export abstract class Conv extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    readonly kernelSize: readonly number[],
    readonly groups: number,
    bias: boolean,
  ) {
    super();
    expectLength("inChannels", inChannels);
    expectLength("outChannels", outChannels);
    expectFlags({ bias });
    if (inChannels % groups !== 0 || outChannels % groups !== 0) {
      const text = `a number that divides inChannels (${inChannels}) and outChannels (${outChannels})`;
      throw badArgument("groups", text, groups);
    }
    const shape = [outChannels, inChannels / groups, ...kernelSize];
    expectElements("weight", shape);
    // kaiming_uniform(a = sqrt(5)), as PyTorch has it.
    const bound = 1 / Math.sqrt(numel(shape.slice(1)));
    this.weight = new Parameter(rand(shape, -bound, bound).data, shape);
    this.bias = bias ? new Parameter(rand([outChannels], -bound, bound).data) : null;
  }

  /** The arguments as PyTorch prints them. */
  protected describe({
    stride,
    padding,
    dilation,
  }: Record<"stride" | "dilation", readonly number[]> & { readonly padding: Padding<readonly number[]> }): string {
    const { inChannels, outChannels, kernelSize, groups, bias } = this;
    const python = (values: readonly number[]) => `(${values.join(", ")}${values.length === 1 ? "," : ""})`;
    const parts = [`${inChannels}, ${outChannels}, kernel_size=${python(kernelSize)}, stride=${python(stride)}`];
    if (typeof padding === "string") parts.push(`padding=${padding}`);
    else if (padding.some((n) => n !== 0)) parts.push(`padding=${python(padding)}`);
    if (dilation.some((n) => n !== 1)) parts.push(`dilation=${python(dilation)}`);
    if (groups !== 1) parts.push(`groups=${groups}`);
    if (bias === null) parts.push("bias=False");
    return parts.join(", ");
  }
}

/**
 * Convolution of images: x [images, inChannels, height, width] to [images, outChannels, ...]. `torch.nn.Conv2d`, with
 * its initial values (kaiming_uniform, a = sqrt(5)) and its state keys: weight, bias.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for groups that do not divide the channels; `SHAPE_MISMATCH` in `forward` for
 * other channels or a kernel larger than its padded input.
 * @example
 * ```ts
 * const layer = new Conv2d(3, 16, 3, { padding: 1, bias: false });
 * layer.forward(randn([8, 3, 32, 32])).shape; // [8, 16, 32, 32]
 * ```
 */
export class Conv2d extends Conv {
  readonly stride: readonly [number, number];
  readonly padding: Padding<readonly [number, number]>;
  readonly dilation: readonly [number, number];

  constructor(inChannels: number, outChannels: number, kernelSize: Pair, options: ConvOptions = {}) {
    expectOptions("Conv2d", options, ["stride", "padding", "dilation", "groups", "bias"]);
    const { bias = true, ...rest } = options;
    const kernel = pairOf("kernelSize", kernelSize, 1);
    const { stride, padding, dilation, groups } = conv2dAttributes("Conv2d", rest, kernel);
    super(inChannels, outChannels, kernel, groups, bias);
    this.stride = stride;
    this.padding = typeof rest.padding === "string" ? rest.padding : padding;
    this.dilation = dilation;
  }

  override get readsImages(): boolean {
    return true;
  }

  override forward(x: Tensor): Tensor {
    const { weight, bias, stride, padding, dilation, groups } = this;
    return conv2d(x, weight, bias, { stride, padding, dilation, groups });
  }

  override extraRepr(): string {
    return this.describe(this);
  }
}

/**
 * Convolution of sequences: x [sequences, inChannels, length] to [sequences, outChannels, ...]. `torch.nn.Conv1d`, as
 * {@link Conv2d}.
 *
 * @example
 * ```ts
 * new Conv1d(4, 8, 5, { padding: 2 }).forward(randn([2, 4, 100])).shape; // [2, 8, 100]
 * ```
 */
export class Conv1d extends Conv {
  readonly #options: Record<"stride" | "dilation", readonly [number, number]> &
    Record<"padding", Padding<readonly [number, number]>>;

  constructor(inChannels: number, outChannels: number, kernelSize: number, options: Conv1dOptions = {}) {
    expectOptions("Conv1d", options, ["stride", "padding", "dilation", "groups", "bias"]);
    const { bias = true, stride = 1, padding = 0, dilation = 1, groups = 1 } = options;
    for (const [name, n] of Object.entries({ kernelSize, stride, dilation })) expectLength(name, n);
    if (typeof padding !== "string") expectInteger("padding", padding, 0, MAX_LENGTH);
    const zeros = typeof padding === "string" ? padding : ([0, padding] as const);
    const own = { stride: [1, stride], padding: zeros, dilation: [1, dilation] } as const;
    conv2dAttributes("Conv1d", { ...own, groups }, [1, kernelSize]);
    super(inChannels, outChannels, [kernelSize], groups, bias);
    this.#options = own;
  }

  override forward(x: Tensor): Tensor {
    expectTensor("Conv1d: x", x);
    expectShape("Conv1d: x", x.shape, [-1, this.inChannels, -1]);
    const [outputs, channels, size] = this.weight.shape;
    const { dilation, padding } = this.#options;
    const reach = dilation[1] * (size - 1) + 1;
    const zeros = { same: reach - 1, valid: 0 };
    const whole = x.shape[2] + (typeof padding === "string" ? zeros[padding] : 2 * padding[1]);
    if (reach > whole) {
      const got = `x [${x.shape.join(", ")}] and weight [${this.weight.shape.join(", ")}]`;
      const text = `Conv1d: expected a kernel that fits its padded input: it covers ${reach} of ${whole}, got ${got}`;
      throw new DistilleryError("SHAPE_MISMATCH", text);
    }
    const images = x.reshape([x.shape[0], x.shape[1], 1, x.shape[2]]);
    const weight = this.weight.reshape([outputs, channels, 1, size]);
    return conv2d(images, weight, this.bias, { ...this.#options, groups: this.groups }).squeeze(2);
  }

  override extraRepr(): string {
    const { stride, padding, dilation } = this.#options;
    const zeros = typeof padding === "string" ? padding : [padding[1]];
    return this.describe({ stride: [stride[1]], padding: zeros, dilation: [dilation[1]] });
  }
}
