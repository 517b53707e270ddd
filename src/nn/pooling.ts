import type { AdaptiveSize, AvgPool2dOptions, MaxPool2dOptions, Pair } from "../ops/index.js";
import { adaptiveSize, avgPool2dWindows, maxPool2dWindows } from "../ops/pool_windows.js";
import type { Tensor } from "../tensor/tensor.js";
import { adaptiveAvgPool2d, avgPool2d, maxPool2d } from "./functional.js";
import { Module } from "./module.js";

/**
 * The largest element of each window, as {@link maxPool2d}. `torch.nn.MaxPool2d`.
 *
 * @example
 * ```ts
 * new MaxPool2d(2).forward(randn([8, 16, 32, 32])).shape; // [8, 16, 16, 16]
 * ```
 */
export class MaxPool2d extends Module {
  readonly options: MaxPool2dOptions;

  constructor(
    readonly kernelSize: Pair,
    options: MaxPool2dOptions = {},
  ) {
    super();
    maxPool2dWindows(kernelSize, options);
    this.options = { ...options };
  }

  override get readsImages(): boolean {
    return true;
  }

  override forward(x: Tensor): Tensor {
    return maxPool2d(x, this.kernelSize, this.options);
  }

  override extraRepr(): string {
    const { stride, padding, dilation = 1, ceilMode = false } = this.options;
    const windows = windowText(this.kernelSize, stride, padding);
    return `${windows}, dilation=${python(dilation)}, ceil_mode=${ceilMode ? "True" : "False"}`;
  }
}

/**
 * The mean of each window, as {@link avgPool2d}. `torch.nn.AvgPool2d`.
 *
 * @example
 * ```ts
 * new AvgPool2d(2).forward(randn([8, 16, 32, 32])).shape; // [8, 16, 16, 16]
 * ```
 */
export class AvgPool2d extends Module {
  readonly options: AvgPool2dOptions;

  constructor(
    readonly kernelSize: Pair,
    options: AvgPool2dOptions = {},
  ) {
    super();
    avgPool2dWindows(kernelSize, options);
    this.options = { ...options };
  }

  override get readsImages(): boolean {
    return true;
  }

  override forward(x: Tensor): Tensor {
    return avgPool2d(x, this.kernelSize, this.options);
  }

  override extraRepr(): string {
    return windowText(this.kernelSize, this.options.stride, this.options.padding);
  }
}

/**
 * The mean of `outputSize` windows, whatever the size of the input, as {@link adaptiveAvgPool2d}.
 * `torch.nn.AdaptiveAvgPool2d`.
 *
 * @example
 * ```ts
 * new AdaptiveAvgPool2d(1).forward(randn([8, 64, 7, 9])).shape; // [8, 64, 1, 1]
 * ```
 */
export class AdaptiveAvgPool2d extends Module {
  constructor(readonly outputSize: AdaptiveSize) {
    super();
    adaptiveSize(outputSize);
  }

  override get readsImages(): boolean {
    return true;
  }

  override forward(x: Tensor): Tensor {
    return adaptiveAvgPool2d(x, this.outputSize);
  }

  override extraRepr(): string {
    return `output_size=${python(this.outputSize)}`;
  }
}

function windowText(kernelSize: Pair, stride: Pair = kernelSize, padding: Pair = 0): string {
  return `kernel_size=${python(kernelSize)}, stride=${python(stride)}, padding=${python(padding)}`;
}

function python(value: AdaptiveSize): string {
  return typeof value === "number" ? String(value) : `(${value.map((n) => n ?? "None").join(", ")})`;
}
