import { BatchNorm2d } from "../nn/batch_norm.js";
import { Conv2d } from "../nn/conv.js";
import { Sequential } from "../nn/layers.js";
import { Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { AdaptiveAvgPool2d, AvgPool2d } from "../nn/pooling.js";
import { cat } from "../ops/index.js";
import { parseOptions } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { channelShuffle } from "./channel_shuffle.js";
import { defineImageNetwork, images } from "./images.js";

const FIRST_CHANNELS = 24;
const GROUPS = 3;
/** Channels and blocks of each stage. */
const STAGES = [
  [240, 4],
  [480, 8],
  [960, 4],
] as const;

/**
 * Grouped 1x1 convolutions around one of 3x3 of each channel; with stride 2 the averaged input is put beside the
 * result.
 */
class Block extends Module {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly conv3: Conv2d;
  readonly bn3: BatchNorm2d;
  readonly shortcut: Sequential;
  readonly #groups: number;
  readonly #stride: number;

  constructor(inChannels: number, channels: number, stride: number) {
    super();
    const hidden = Math.floor(channels / 4);
    this.#groups = inChannels === FIRST_CHANNELS ? 1 : GROUPS;
    this.#stride = stride;
    this.conv1 = new Conv2d(inChannels, hidden, 1, { groups: this.#groups, bias: false });
    this.bn1 = new BatchNorm2d(hidden);
    this.conv2 = new Conv2d(hidden, hidden, 3, { stride, padding: 1, groups: hidden, bias: false });
    this.bn2 = new BatchNorm2d(hidden);
    this.conv3 = new Conv2d(hidden, channels, 1, { groups: GROUPS, bias: false });
    this.bn3 = new BatchNorm2d(channels);
    this.shortcut = stride === 2 ? new Sequential(new AvgPool2d(3, { stride: 2, padding: 1 })) : new Sequential();
  }

  override forward(x: Tensor): Tensor {
    const first = channelShuffle(this.bn1.forward(this.conv1.forward(x)).relu(), this.#groups);
    const second = this.bn2.forward(this.conv2.forward(first)).relu();
    const out = this.bn3.forward(this.conv3.forward(second));
    const beside = this.shortcut.forward(x);
    return (this.#stride === 2 ? cat([out, beside], 1) : out.add(beside)).relu();
  }
}

/** The arguments of {@link ShuffleNetV1}. */
export interface ShuffleNetV1Options {
  /** Of the images; default 3. */
  channels?: number;
  /** Default 10. */
  classes?: number;
}

/**
 * ShuffleNet (Zhang et al., 2018), 3 groups, for small images, as RepDistiller and mdistiller have it (`ShuffleV1`),
 * with their state dict keys and draws. The stages have the outputs `layer1`, `layer2` and `layer3`. x [rows, channels,
 * height, width] of any size to logits [rows, classes]; with a side of more than 32 pixels theirs differ, which average
 * the first 4 x 4 positions alone.
 *
 * @example
 * ```ts
 * const student = new ShuffleNetV1({ classes: 100 });
 * ```
 */
export class ShuffleNetV1 extends Module {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly layer1: Sequential;
  readonly layer2: Sequential;
  readonly layer3: Sequential;
  readonly avgpool = new AdaptiveAvgPool2d(1);
  readonly linear: Linear;

  constructor(options: ShuffleNetV1Options = {}) {
    super();
    const { channels, classes } = parseOptions("ShuffleNetV1", images(), options);
    const [one, two, three] = STAGES;
    this.conv1 = new Conv2d(channels, FIRST_CHANNELS, 1, { bias: false });
    this.bn1 = new BatchNorm2d(FIRST_CHANNELS);
    this.layer1 = stage(FIRST_CHANNELS, ...one);
    this.layer2 = stage(one[0], ...two);
    this.layer3 = stage(two[0], ...three);
    this.linear = new Linear(three[0], classes);
  }

  override forward(x: Tensor): Tensor {
    const first = this.bn1.forward(this.conv1.forward(x)).relu();
    const maps = this.layer3.forward(this.layer2.forward(this.layer1.forward(first)));
    return this.linear.forward(this.avgpool.forward(maps).flatten(1));
  }
}

function stage(inChannels: number, channels: number, count: number): Sequential {
  const blocks = Array.from({ length: count }, (_, i) =>
    i === 0 ? new Block(inChannels, channels - inChannels, 2) : new Block(channels, channels, 1),
  );
  return new Sequential(...blocks);
}

export const shuffleNetV1 = defineImageNetwork({
  name: "ShuffleNetV1",
  help: "ShuffleNet of 3 groups for small images (Zhang et al., 2018), the logits of its authors' code at 32 x 32",
  options: {},
  size: { parameters: 949_258, multiplyAdds: 38_691_456 },
  make: (options) => new ShuffleNetV1(options),
});
