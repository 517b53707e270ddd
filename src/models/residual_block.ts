import { BatchNorm2d } from "../nn/batch_norm.js";
import { Conv2d } from "../nn/conv.js";
import { Sequential } from "../nn/layers.js";
import { Module } from "../nn/module.js";
import type { Tensor } from "../tensor/tensor.js";

/**
 * A block of a residual network: images of `inChannels` to images of `channels * expansion`, each `stride`-th pixel.
 */
export interface BlockClass {
  /** The channels of its output as a multiple of its own. */
  readonly expansion: number;
  new (inChannels: number, channels: number, stride: number, downsample: Sequential | null): Module;
}

/** Two 3x3 convolutions beside the identity (He et al., 2016); torchvision's `BasicBlock`, and RepDistiller's. */
export class BasicBlock extends Module {
  static readonly expansion = 1;
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly downsample: Sequential | null;

  constructor(inChannels: number, channels: number, stride: number, downsample: Sequential | null) {
    super();
    this.conv1 = new Conv2d(inChannels, channels, 3, { stride, padding: 1, bias: false });
    this.bn1 = new BatchNorm2d(channels);
    this.conv2 = new Conv2d(channels, channels, 3, { padding: 1, bias: false });
    this.bn2 = new BatchNorm2d(channels);
    this.downsample = downsample;
  }

  override forward(x: Tensor): Tensor {
    const h = this.bn1.forward(this.conv1.forward(x)).relu();
    const out = this.bn2.forward(this.conv2.forward(h));
    return out.add(this.downsample?.forward(x) ?? x).relu();
  }
}

/**
 * A 3x3 convolution of a quarter of the channels between two of 1x1, beside the identity; torchvision's `Bottleneck`.
 */
export class Bottleneck extends Module {
  static readonly expansion = 4;
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly conv3: Conv2d;
  readonly bn3: BatchNorm2d;
  readonly downsample: Sequential | null;

  constructor(inChannels: number, channels: number, stride: number, downsample: Sequential | null) {
    super();
    const outChannels = channels * Bottleneck.expansion;
    this.conv1 = new Conv2d(inChannels, channels, 1, { bias: false });
    this.bn1 = new BatchNorm2d(channels);
    this.conv2 = new Conv2d(channels, channels, 3, { stride, padding: 1, bias: false });
    this.bn2 = new BatchNorm2d(channels);
    this.conv3 = new Conv2d(channels, outChannels, 1, { bias: false });
    this.bn3 = new BatchNorm2d(outChannels);
    this.downsample = downsample;
  }

  override forward(x: Tensor): Tensor {
    const first = this.bn1.forward(this.conv1.forward(x)).relu();
    const second = this.bn2.forward(this.conv2.forward(first)).relu();
    const out = this.bn3.forward(this.conv3.forward(second));
    return out.add(this.downsample?.forward(x) ?? x).relu();
  }
}

/** A stage of `count` blocks, the first of which takes each `stride`-th pixel. */
export function residualStage(
  Block: BlockClass,
  inChannels: number,
  channels: number,
  count: number,
  stride: number,
): Sequential {
  const outChannels = channels * Block.expansion;
  const isSame = stride === 1 && inChannels === outChannels;
  // Drawn before the block's own layers, as the authors' code does.
  const downsample = isSame
    ? null
    : new Sequential(new Conv2d(inChannels, outChannels, 1, { stride, bias: false }), new BatchNorm2d(outChannels));
  const first = new Block(inChannels, channels, stride, downsample);
  const rest = Array.from({ length: count - 1 }, () => new Block(outChannels, channels, 1, null));
  return new Sequential(first, ...rest);
}
