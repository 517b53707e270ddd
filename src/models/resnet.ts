import * as v from "valibot";
import { BatchNorm2d } from "../nn/batch_norm.js";
import { Conv2d } from "../nn/conv.js";
import type { Sequential } from "../nn/layers.js";
import { Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { AdaptiveAvgPool2d, MaxPool2d } from "../nn/pooling.js";
import { oneOf, parseOptions } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { defineImageNetwork, images } from "./images.js";
import { drawByOutputs } from "./initial_values.js";
import { depth, exactly, type NetworkCost } from "./network.js";
import { BasicBlock, type BlockClass, Bottleneck, residualStage } from "./residual_block.js";

/** What blocks a {@link ResNet} is made of. */
const BLOCKS = { basic: BasicBlock, bottleneck: Bottleneck } satisfies Record<string, BlockClass>;

const OPTIONS = {
  blocks: exactly(4, depth(), "the blocks of each of 4 stages, as [2, 2, 2, 2]"),
  block: v.optional(oneOf(["basic", "bottleneck"]), "basic"),
  ...images(1000),
};

/** The arguments of {@link ResNet}. */
export interface ResNetOptions {
  /** Blocks of each of the four stages. */
  blocks: readonly [number, number, number, number];
  /** Two convolutions of 3x3, or one between two of 1x1. Default `basic`. */
  block?: keyof typeof BLOCKS;
  /** Of the images; default 3. */
  channels?: number;
  /** Default 1000. */
  classes?: number;
}

/**
 * A residual network (He et al., 2016) as torchvision has it, with its state dict keys, initial values and draws: a 7x7
 * convolution and a maximum, both of stride 2, four stages with the outputs `layer1` to `layer4`, the mean over all
 * positions, a Linear. x [rows, channels, height, width] of any size to logits [rows, classes].
 *
 * @example
 * ```ts
 * const teacher = new ResNet({ blocks: [2, 2, 2, 2], classes: 1000 }); // resnet18
 * ```
 */
export class ResNet extends Module {
  readonly conv1: Conv2d;
  readonly bn1 = new BatchNorm2d(64);
  readonly maxpool = new MaxPool2d(3, { stride: 2, padding: 1 });
  readonly layer1: Sequential;
  readonly layer2: Sequential;
  readonly layer3: Sequential;
  readonly layer4: Sequential;
  readonly avgpool = new AdaptiveAvgPool2d(1);
  readonly fc: Linear;

  constructor(options: ResNetOptions) {
    super();
    const { blocks, block, channels, classes } = parseOptions("ResNet", OPTIONS, options);
    const Block = BLOCKS[block];
    const [one, two, three, four] = blocks;
    const { expansion } = Block;
    this.conv1 = new Conv2d(channels, 64, 7, { stride: 2, padding: 3, bias: false });
    this.layer1 = residualStage(Block, 64, 64, one, 1);
    this.layer2 = residualStage(Block, 64 * expansion, 128, two, 2);
    this.layer3 = residualStage(Block, 128 * expansion, 256, three, 2);
    this.layer4 = residualStage(Block, 256 * expansion, 512, four, 2);
    this.fc = new Linear(512 * expansion, classes);
    drawByOutputs(this);
  }

  override forward(x: Tensor): Tensor {
    const first = this.maxpool.forward(this.bn1.forward(this.conv1.forward(x)).relu());
    const half = this.layer2.forward(this.layer1.forward(first));
    const maps = this.layer4.forward(this.layer3.forward(half));
    return this.fc.forward(this.avgpool.forward(maps).flatten(1));
  }
}

function entry(depth: number, blocks: ResNetOptions["blocks"], block: keyof typeof BLOCKS, size: NetworkCost) {
  const name = `resnet${depth}`;
  return defineImageNetwork({
    name,
    help: `torchvision's residual network of ${depth} layers for images of any size (He et al., 2016)`,
    options: {},
    size,
    make: (given) => new ResNet({ blocks, block, ...given }),
  });
}

export const resNets = [
  entry(18, [2, 2, 2, 2], "basic", {
    parameters: 11_689_512,
    multiplyAdds: 1_814_073_344,
    shape: [3, 224, 224],
    classes: 1000,
  }),
  entry(34, [3, 4, 6, 3], "basic", {
    parameters: 21_797_672,
    multiplyAdds: 3_663_761_408,
    shape: [3, 224, 224],
    classes: 1000,
  }),
  entry(50, [3, 4, 6, 3], "bottleneck", {
    parameters: 25_557_032,
    multiplyAdds: 4_089_184_256,
    shape: [3, 224, 224],
    classes: 1000,
  }),
];
