import * as v from "valibot";
import { BatchNorm2d } from "../nn/batch_norm.js";
import { Conv2d } from "../nn/conv.js";
import type { Sequential } from "../nn/layers.js";
import { Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { AdaptiveAvgPool2d } from "../nn/pooling.js";
import { parseOptions } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { defineImageNetwork, images } from "./images.js";
import { drawByOutputs } from "./initial_values.js";
import { depth, type NetworkCost, widths } from "./network.js";
import { BasicBlock, residualStage } from "./residual_block.js";

const OPTIONS = { blocks: depth(), widths: v.optional(widths(4), [16, 16, 32, 64]), ...images() };

/** The arguments of {@link CifarResNet}. */
export interface CifarResNetOptions {
  /** Blocks of each of the three stages: (depth - 2) / 6. */
  blocks: number;
  /** Channels of the first convolution and of the three stages. Default `[16, 16, 32, 64]`. */
  widths?: readonly [number, number, number, number];
  /** Of the images; default 3. */
  channels?: number;
  /** Default 10. */
  classes?: number;
}

/**
 * A residual network for small images (He et al., 2016, section 4.2) as RepDistiller and mdistiller have it, with their
 * state dict keys, initial values and draws: a convolution, three stages of basic blocks with the outputs `layer1`,
 * `layer2` and `layer3`, the mean over all positions, a Linear. x [rows, channels, height, width] of any size to logits
 * [rows, classes]; with a side of more than 32 pixels theirs differ, which average the first 8 x 8 positions alone.
 *
 * @example
 * ```ts
 * const student = new CifarResNet({ blocks: 1, classes: 100 }); // resnet8
 * student.forward(randn([2, 3, 32, 32])).shape; // [2, 100]
 * ```
 */
export class CifarResNet extends Module {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly layer1: Sequential;
  readonly layer2: Sequential;
  readonly layer3: Sequential;
  readonly avgpool = new AdaptiveAvgPool2d(1);
  readonly fc: Linear;

  constructor(options: CifarResNetOptions) {
    super();
    const { blocks, widths, channels, classes } = parseOptions("CifarResNet", OPTIONS, options);
    const [stem, one, two, three] = widths;
    this.conv1 = new Conv2d(channels, stem, 3, { padding: 1, bias: false });
    this.bn1 = new BatchNorm2d(stem);
    this.layer1 = residualStage(BasicBlock, stem, one, blocks, 1);
    this.layer2 = residualStage(BasicBlock, one, two, blocks, 2);
    this.layer3 = residualStage(BasicBlock, two, three, blocks, 2);
    this.fc = new Linear(three, classes);
    drawByOutputs(this);
  }

  override forward(x: Tensor): Tensor {
    const first = this.bn1.forward(this.conv1.forward(x)).relu();
    const maps = this.layer3.forward(this.layer2.forward(this.layer1.forward(first)));
    return this.fc.forward(this.avgpool.forward(maps).flatten(1));
  }
}

const WIDE = [32, 64, 128, 256] as const;

function entry(name: string, blocks: number, size: NetworkCost, widths?: CifarResNetOptions["widths"]) {
  const channels = widths === undefined ? "" : ", four times as wide";
  return defineImageNetwork({
    name,
    help: `residual network of ${6 * blocks + 2} layers for small images${channels} (He et al., 2016), the logits of its authors' code at 32 x 32`,
    options: {},
    size,
    make: (given) => new CifarResNet({ blocks, widths, ...given }),
  });
}

export const cifarResNets = [
  entry("resnet8", 1, { parameters: 83_892, multiplyAdds: 12_507_392 }),
  entry("resnet14", 2, { parameters: 181_108, multiplyAdds: 26_663_168 }),
  entry("resnet20", 3, { parameters: 278_324, multiplyAdds: 40_818_944 }),
  entry("resnet32", 5, { parameters: 472_756, multiplyAdds: 69_130_496 }),
  entry("resnet44", 7, { parameters: 667_188, multiplyAdds: 97_442_048 }),
  entry("resnet56", 9, { parameters: 861_620, multiplyAdds: 125_753_600 }),
  entry("resnet110", 18, { parameters: 1_736_564, multiplyAdds: 253_155_584 }),
  entry("resnet8x4", 1, { parameters: 1_233_540, multiplyAdds: 177_071_104 }, WIDE),
  entry("resnet32x4", 5, { parameters: 7_433_860, multiplyAdds: 1_083_040_768 }, WIDE),
];
