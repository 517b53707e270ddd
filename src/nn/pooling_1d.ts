import { expectFlags, expectInteger, expectLength, expectOptions, expectShape, MAX_LENGTH } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { avgPool2dWindows, maxPool2dWindows } from "../ops/pool_windows.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { avgPool2d, maxPool2d } from "./functional.js";
import { Module } from "./module.js";

/** The options of {@link MaxPool1d}: as those of {@link MaxPool2d}, each one number. */
export interface MaxPool1dOptions {
  stride?: number;
  padding?: number;
  dilation?: number;
  ceilMode?: boolean;
}

/** The options of {@link AvgPool1d}: as those of {@link AvgPool2d}, each one number. */
export interface AvgPool1dOptions {
  stride?: number;
  padding?: number;
  ceilMode?: boolean;
  countIncludePad?: boolean;
}

/** Sequences as images of one row: the windows of both layers. */
class Windows {
  readonly stride: number;
  readonly padding: number;
  readonly dilation: number;
  readonly ceilMode: boolean;

  constructor(
    private readonly layer: string,
    readonly kernelSize: number,
    { stride = kernelSize, padding = 0, dilation = 1, ceilMode = false }: MaxPool1dOptions,
  ) {
    for (const [name, n] of Object.entries({ kernelSize, stride, dilation })) expectLength(name, n);
    expectInteger("padding", padding, 0, MAX_LENGTH);
    expectFlags({ ceilMode });
    this.stride = stride;
    this.padding = padding;
    this.dilation = dilation;
    this.ceilMode = ceilMode;
  }

  get kernel(): readonly [number, number] {
    return [1, this.kernelSize];
  }

  get options() {
    const { stride, padding, ceilMode } = this;
    return { stride: [1, stride], padding: [0, padding], ceilMode } as const;
  }

  /** The sequences as images; refuses those that a window does not fit. */
  imagesOf(x: Tensor): Tensor {
    const { layer, kernelSize, stride, padding, dilation, ceilMode } = this;
    expectTensor(`${layer}: x`, x);
    expectShape(`${layer}: x`, x.shape, [-1, -1, -1]);
    const [reach, whole] = [dilation * (kernelSize - 1) + 1, x.shape[2] + 2 * padding];
    if (x.shape[2] === 0 || reach > whole + (ceilMode ? stride - 1 : 0)) {
      const text = `expected a kernel that fits its padded input: it covers ${reach} of ${whole}`;
      throw new DistilleryError("SHAPE_MISMATCH", `${layer}: ${text}, got x [${x.shape.join(", ")}]`);
    }
    return x.unsqueeze(2);
  }
}

/**
 * The largest element of each window of sequences x [sequences, channels, length]: [sequences, channels, windows], as
 * {@link MaxPool2d}. `torch.nn.MaxPool1d`.
 *
 * @example
 * ```ts
 * new MaxPool1d(2).forward(randn([8, 16, 100])).shape; // [8, 16, 50]
 * ```
 */
export class MaxPool1d extends Module {
  readonly #windows: Windows;

  constructor(
    readonly kernelSize: number,
    options: MaxPool1dOptions = {},
  ) {
    super();
    expectOptions("MaxPool1d", options, ["stride", "padding", "dilation", "ceilMode"]);
    this.#windows = new Windows("MaxPool1d", kernelSize, options);
    maxPool2dWindows(this.#windows.kernel, this.#options);
  }

  override forward(x: Tensor): Tensor {
    return maxPool2d(this.#windows.imagesOf(x), this.#windows.kernel, this.#options).squeeze(2);
  }

  override extraRepr(): string {
    const { kernelSize, stride, padding, dilation, ceilMode } = this.#windows;
    const text = `kernel_size=${kernelSize}, stride=${stride}, padding=${padding}, dilation=${dilation}`;
    return `${text}, ceil_mode=${ceilMode ? "True" : "False"}`;
  }

  get #options() {
    return { ...this.#windows.options, dilation: [1, this.#windows.dilation] as const };
  }
}

/**
 * The mean of each window of sequences x [sequences, channels, length]: [sequences, channels, windows], as
 * {@link AvgPool2d}. `torch.nn.AvgPool1d`.
 *
 * @example
 * ```ts
 * new AvgPool1d(2).forward(randn([8, 16, 100])).shape; // [8, 16, 50]
 * ```
 */
export class AvgPool1d extends Module {
  readonly #windows: Windows;
  readonly #countIncludePad: boolean;

  constructor(
    readonly kernelSize: number,
    options: AvgPool1dOptions = {},
  ) {
    super();
    expectOptions("AvgPool1d", options, ["stride", "padding", "ceilMode", "countIncludePad"]);
    const { countIncludePad = true, ...windows } = options;
    this.#windows = new Windows("AvgPool1d", kernelSize, windows);
    this.#countIncludePad = countIncludePad;
    avgPool2dWindows(this.#windows.kernel, this.#options);
  }

  override forward(x: Tensor): Tensor {
    return avgPool2d(this.#windows.imagesOf(x), this.#windows.kernel, this.#options).squeeze(2);
  }

  override extraRepr(): string {
    const { kernelSize, stride, padding } = this.#windows;
    return `kernel_size=(${kernelSize},), stride=(${stride},), padding=(${padding},)`;
  }

  get #options() {
    return { ...this.#windows.options, countIncludePad: this.#countIncludePad };
  }
}
