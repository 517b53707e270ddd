import * as v from "valibot";
import { BatchNorm2d } from "../nn/batch_norm.js";
import { Conv2d } from "../nn/conv.js";
import { ReLU, Sequential } from "../nn/layers.js";
import { Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { AdaptiveAvgPool2d } from "../nn/pooling.js";
import { described, parseOptions, range } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { defineImageNetwork, images } from "./images.js";
import { drawByOutputs } from "./initial_values.js";

/**
 * Of each stage: by how much its blocks widen their input, its channels at width 1, its blocks, the stride of the
 * first.
 */
const STAGES = [
  [1, 16, 1, 1],
  [6, 24, 2, 1],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const;
const LAST_CHANNELS = 1280;
const HALF = 0.5;

const OPTIONS = {
  width: described(
    v.optional(range(1 / 16, 1024, "a number from 1/16 to 1024"), HALF),
    "what the channels are multiplied by",
  ),
};

/** A convolution with BatchNorm and ReLU. */
function convolution(inChannels: number, channels: number, kernel: number, stride = 1, groups = 1): Module[] {
  const options = { stride, padding: (kernel - 1) / 2, groups, bias: false };
  return [new Conv2d(inChannels, channels, kernel, options), new BatchNorm2d(channels), new ReLU()];
}

/** A 1x1 convolution that widens, one of 3x3 of each channel for itself, and one of 1x1 that narrows, without ReLU. */
class InvertedResidual extends Module {
  readonly conv: Sequential;
  readonly #isResidual: boolean;

  constructor(inChannels: number, channels: number, stride: number, expansion: number) {
    super();
    const hidden = inChannels * expansion;
    this.#isResidual = stride === 1 && inChannels === channels;
    this.conv = new Sequential(
      ...convolution(inChannels, hidden, 1),
      ...convolution(hidden, hidden, 3, stride, hidden),
      ...convolution(hidden, channels, 1).slice(0, -1),
    );
  }

  override forward(x: Tensor): Tensor {
    const out = this.conv.forward(x);
    return this.#isResidual ? x.add(out) : out;
  }
}

/** The arguments of {@link MobileNetV2}. */
export interface MobileNetV2Options {
  /** What the channels are multiplied by; default 0.5, the field's "half". */
  width?: number;
  /** Of the images; default 3. */
  channels?: number;
  /** Default 10. */
  classes?: number;
}

/**
 * MobileNetV2 (Sandler et al., 2018) for small images, as RepDistiller and mdistiller have it, with their state dict
 * keys, initial values and draws. x [rows, channels, height, width] of any size to logits [rows, classes].
 *
 * @example
 * ```ts
 * const student = new MobileNetV2({ classes: 100 });
 * ```
 */
export class MobileNetV2 extends Module {
  readonly conv1: Sequential;
  readonly blocks: readonly Sequential[];
  readonly conv2: Sequential;
  readonly classifier: Sequential;
  readonly avgpool = new AdaptiveAvgPool2d(1);

  constructor(options: MobileNetV2Options = {}) {
    super();
    const { width, channels, classes } = parseOptions("MobileNetV2", { ...OPTIONS, ...images() }, options);
    let inChannels = Math.floor(32 * width);
    this.conv1 = new Sequential(...convolution(channels, inChannels, 3, 2));
    this.blocks = STAGES.map(([expansion, full, count, stride]) => {
      const outChannels = Math.floor(full * width);
      const blocks = Array.from({ length: count }, (_, i) => {
        const block = new InvertedResidual(inChannels, outChannels, i === 0 ? stride : 1, expansion);
        inChannels = outChannels;
        return block;
      });
      return new Sequential(...blocks);
    });
    const last = width > 1 ? Math.floor(LAST_CHANNELS * width) : LAST_CHANNELS;
    this.conv2 = new Sequential(...convolution(inChannels, last, 1));
    this.classifier = new Sequential(new Linear(last, classes));
    drawByOutputs(this, { std: 0.01 });
  }

  override forward(x: Tensor): Tensor {
    const maps = this.blocks.reduce((h, block) => block.forward(h), this.conv1.forward(x));
    return this.classifier.forward(this.avgpool.forward(this.conv2.forward(maps)).flatten(1));
  }
}

export const mobileNetV2 = defineImageNetwork({
  name: "MobileNetV2",
  help: "MobileNetV2 for small images, of half the width (Sandler et al., 2018)",
  options: OPTIONS,
  size: { parameters: 812_836, multiplyAdds: 6_523_648 },
  make: (options) => new MobileNetV2(options),
});
