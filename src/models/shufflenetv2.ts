import { BatchNorm2d } from "../nn/batch_norm.js";
import { Conv2d } from "../nn/conv.js";
import { Sequential } from "../nn/layers.js";
import { Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { AdaptiveAvgPool2d } from "../nn/pooling.js";
import { cat } from "../ops/index.js";
import { parseOptions } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { channelShuffle } from "./channel_shuffle.js";
import { defineImageNetwork, images } from "./images.js";

const FIRST_CHANNELS = 24;
const LAST_CHANNELS = 1024;
/** Channels of each stage, and the blocks that follow its first one. */
const STAGES = [
  [116, 3],
  [232, 7],
  [464, 3],
] as const;

/** A convolution of each channel for itself. */
function depthwise(channels: number, stride: number): Conv2d {
  return new Conv2d(channels, channels, 3, { stride, padding: 1, groups: channels, bias: false });
}

/** Half of the channels pass as they are, the other half through three convolutions. */
class SplitBlock extends Module {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly conv3: Conv2d;
  readonly bn3: BatchNorm2d;
  readonly #half: number;

  constructor(channels: number) {
    super();
    const half = channels / 2;
    this.#half = half;
    this.conv1 = new Conv2d(half, half, 1, { bias: false });
    this.bn1 = new BatchNorm2d(half);
    this.conv2 = depthwise(half, 1);
    this.bn2 = new BatchNorm2d(half);
    this.conv3 = new Conv2d(half, half, 1, { bias: false });
    this.bn3 = new BatchNorm2d(half);
  }

  override forward(x: Tensor): Tensor {
    const half = this.#half;
    const [kept, changed] = [x.slice(0, half, { dim: 1 }), x.slice(half, 2 * half, { dim: 1 })];
    const first = this.bn1.forward(this.conv1.forward(changed)).relu();
    const second = this.bn2.forward(this.conv2.forward(first));
    const third = this.bn3.forward(this.conv3.forward(second)).relu();
    return channelShuffle(cat([kept, third], 1), 2);
  }
}

/** Two paths of stride 2, each of half the channels. */
class DownBlock extends Module {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly conv3: Conv2d;
  readonly bn3: BatchNorm2d;
  readonly conv4: Conv2d;
  readonly bn4: BatchNorm2d;
  readonly conv5: Conv2d;
  readonly bn5: BatchNorm2d;

  constructor(inChannels: number, channels: number) {
    super();
    const half = channels / 2;
    this.conv1 = depthwise(inChannels, 2);
    this.bn1 = new BatchNorm2d(inChannels);
    this.conv2 = new Conv2d(inChannels, half, 1, { bias: false });
    this.bn2 = new BatchNorm2d(half);
    this.conv3 = new Conv2d(inChannels, half, 1, { bias: false });
    this.bn3 = new BatchNorm2d(half);
    this.conv4 = depthwise(half, 2);
    this.bn4 = new BatchNorm2d(half);
    this.conv5 = new Conv2d(half, half, 1, { bias: false });
    this.bn5 = new BatchNorm2d(half);
  }

  override forward(x: Tensor): Tensor {
    const near = this.bn1.forward(this.conv1.forward(x));
    const left = this.bn2.forward(this.conv2.forward(near)).relu();
    const first = this.bn3.forward(this.conv3.forward(x)).relu();
    const second = this.bn4.forward(this.conv4.forward(first));
    const right = this.bn5.forward(this.conv5.forward(second)).relu();
    return channelShuffle(cat([left, right], 1), 2);
  }
}

/** The arguments of {@link ShuffleNetV2}. */
export interface ShuffleNetV2Options {
  /** Of the images; default 3. */
  channels?: number;
  /** Default 10. */
  classes?: number;
}

/**
 * ShuffleNetV2 (Ma et al., 2018), width 1, for small images, as RepDistiller and mdistiller have it (`ShuffleV2`), with
 * their state dict keys and draws. The stages have the outputs `layer1`, `layer2` and `layer3`. x [rows, channels,
 * height, width] of any size to logits [rows, classes]; with a side of more than 32 pixels theirs differ, which average
 * the first 4 x 4 positions alone.
 *
 * @example
 * ```ts
 * const student = new ShuffleNetV2({ classes: 100 });
 * ```
 */
export class ShuffleNetV2 extends Module {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly layer1: Sequential;
  readonly layer2: Sequential;
  readonly layer3: Sequential;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly avgpool = new AdaptiveAvgPool2d(1);
  readonly linear: Linear;

  constructor(options: ShuffleNetV2Options = {}) {
    super();
    const { channels, classes } = parseOptions("ShuffleNetV2", images(), options);
    const [one, two, three] = STAGES;
    this.conv1 = new Conv2d(channels, FIRST_CHANNELS, 1, { bias: false });
    this.bn1 = new BatchNorm2d(FIRST_CHANNELS);
    this.layer1 = stage(FIRST_CHANNELS, ...one);
    this.layer2 = stage(one[0], ...two);
    this.layer3 = stage(two[0], ...three);
    this.conv2 = new Conv2d(three[0], LAST_CHANNELS, 1, { bias: false });
    this.bn2 = new BatchNorm2d(LAST_CHANNELS);
    this.linear = new Linear(LAST_CHANNELS, classes);
  }

  override forward(x: Tensor): Tensor {
    const first = this.bn1.forward(this.conv1.forward(x)).relu();
    const maps = this.layer3.forward(this.layer2.forward(this.layer1.forward(first)));
    const last = this.bn2.forward(this.conv2.forward(maps)).relu();
    return this.linear.forward(this.avgpool.forward(last).flatten(1));
  }
}

function stage(inChannels: number, channels: number, count: number): Sequential {
  const first = new DownBlock(inChannels, channels);
  return new Sequential(first, ...Array.from({ length: count }, () => new SplitBlock(channels)));
}

export const shuffleNetV2 = defineImageNetwork({
  name: "ShuffleNetV2",
  help: "ShuffleNetV2 for small images (Ma et al., 2018), the logits of its authors' code at 32 x 32",
  options: {},
  size: { parameters: 1_355_528, multiplyAdds: 44_504_448 },
  make: (options) => new ShuffleNetV2(options),
});
