import * as v from "valibot";
import { BatchNorm2d } from "../nn/batch_norm.js";
import { Conv2d } from "../nn/conv.js";
import { Sequential } from "../nn/layers.js";
import { Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { AdaptiveAvgPool2d } from "../nn/pooling.js";
import { integer, parseOptions } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { defineImageNetwork, images } from "./images.js";
import { drawByOutputs } from "./initial_values.js";
import { depth, type NetworkCost } from "./network.js";

/**
 * BatchNorm and ReLU before each of two 3x3 convolutions, beside the identity, or a 1x1 convolution to other channels.
 */
class PreActivationBlock extends Module {
  readonly bn1: BatchNorm2d;
  readonly conv1: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly convShortcut: Conv2d | null;

  constructor(inChannels: number, channels: number, stride: number) {
    super();
    this.bn1 = new BatchNorm2d(inChannels);
    this.conv1 = new Conv2d(inChannels, channels, 3, { stride, padding: 1, bias: false });
    this.bn2 = new BatchNorm2d(channels);
    this.conv2 = new Conv2d(channels, channels, 3, { padding: 1, bias: false });
    this.convShortcut = inChannels === channels ? null : new Conv2d(inChannels, channels, 1, { stride, bias: false });
  }

  override forward(x: Tensor): Tensor {
    const activated = this.bn1.forward(x).relu();
    const h = this.bn2.forward(this.conv1.forward(activated)).relu();
    return this.conv2.forward(h).add(this.convShortcut?.forward(activated) ?? x);
  }
}

/** A stage of `count` blocks, under the key `layer`. */
class Stage extends Module {
  readonly layer: Sequential;

  constructor(inChannels: number, channels: number, count: number, stride: number) {
    super();
    const blocks = Array.from({ length: count }, (_, i) =>
      i === 0 ? new PreActivationBlock(inChannels, channels, stride) : new PreActivationBlock(channels, channels, 1),
    );
    this.layer = new Sequential(...blocks);
  }

  override forward(x: Tensor): Tensor {
    return this.layer.forward(x);
  }
}

const OPTIONS = { blocks: depth(), widen: v.optional(integer(1, 1024), 1), ...images() };

/** The arguments of {@link WideResNet}. */
export interface WideResNetOptions {
  /** Blocks of each of the three stages: (depth - 4) / 6. */
  blocks: number;
  /** How many times 16, 32 and 64 channels the stages have; default 1. */
  widen?: number;
  /** Of the images; default 3. */
  channels?: number;
  /** Default 10. */
  classes?: number;
}

/**
 * A wide residual network (Zagoruyko and Komodakis, 2016) as RepDistiller and mdistiller have it, with their state dict
 * keys, initial values and draws: a convolution, three stages with the outputs `block1`, `block2` and `block3`,
 * BatchNorm and ReLU, the mean over all positions, a Linear. x [rows, channels, height, width] of any size to logits
 * [rows, classes]; with a side of more than 32 pixels theirs differ, which average the first 8 x 8 positions alone.
 *
 * @example
 * ```ts
 * const student = new WideResNet({ blocks: 2, widen: 2, classes: 100 }); // wrn_16_2
 * ```
 */
export class WideResNet extends Module {
  readonly conv1: Conv2d;
  readonly block1: Stage;
  readonly block2: Stage;
  readonly block3: Stage;
  readonly bn1: BatchNorm2d;
  readonly avgpool = new AdaptiveAvgPool2d(1);
  readonly fc: Linear;

  constructor(options: WideResNetOptions) {
    super();
    const { blocks, widen, channels, classes } = parseOptions("WideResNet", OPTIONS, options);
    const [one, two, three] = [16 * widen, 32 * widen, 64 * widen];
    this.conv1 = new Conv2d(channels, 16, 3, { padding: 1, bias: false });
    this.block1 = new Stage(16, one, blocks, 1);
    this.block2 = new Stage(one, two, blocks, 2);
    this.block3 = new Stage(two, three, blocks, 2);
    this.bn1 = new BatchNorm2d(three);
    this.fc = new Linear(three, classes);
    drawByOutputs(this, {});
  }

  override forward(x: Tensor): Tensor {
    const first = this.block1.forward(this.conv1.forward(x));
    const maps = this.bn1.forward(this.block3.forward(this.block2.forward(first))).relu();
    return this.fc.forward(this.avgpool.forward(maps).flatten(1));
  }
}

function entry(blocks: number, widen: number, size: NetworkCost) {
  const depth = 6 * blocks + 4;
  const name = `wrn_${depth}_${widen}`;
  return defineImageNetwork({
    name,
    help: `wide residual network of ${depth} layers, ${widen} times the width (Zagoruyko and Komodakis, 2016), the logits of its authors' code at 32 x 32`,
    options: {},
    size,
    make: (given) => new WideResNet({ blocks, widen, ...given }),
  });
}

export const wideResNets = [
  entry(2, 1, { parameters: 180_916, multiplyAdds: 26_663_168 }),
  entry(2, 2, { parameters: 703_284, multiplyAdds: 101_118_464 }),
  entry(6, 1, { parameters: 569_780, multiplyAdds: 83_286_272 }),
  entry(6, 2, { parameters: 2_255_156, multiplyAdds: 327_610_880 }),
];
