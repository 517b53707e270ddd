import { BatchNorm2d } from "../nn/batch_norm.js";
import { Conv2d } from "../nn/conv.js";
import { ReLU, Sequential } from "../nn/layers.js";
import { Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { AdaptiveAvgPool2d, MaxPool2d } from "../nn/pooling.js";
import { parseOptions } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { defineImageNetwork, images } from "./images.js";
import { drawByOutputs } from "./initial_values.js";
import { depth, exactly, type NetworkCost } from "./network.js";

const WIDTHS = [64, 128, 256, 512, 512] as const;
/** Each of three maxima halves the sides: of 8 pixels one is left. */
const MIN_SIDE = 8;
/** The height of Tiny ImageNet's images, of which RepDistiller takes a fourth maximum. */
const TINY_IMAGENET_HEIGHT = 64;
/** The least width of which a fourth maximum leaves a pixel. */
const MIN_WIDTH_OF_FOUR = 2 * MIN_SIDE;

const OPTIONS = {
  convolutions: exactly(5, depth(), "the convolutions of each of 5 blocks, as [1, 1, 1, 1, 1]"),
  ...images(),
};

/** The arguments of {@link Vgg}. */
export interface VggOptions {
  /** Convolutions of each of the five blocks. */
  convolutions: readonly [number, number, number, number, number];
  /** Of the images; default 3. */
  channels?: number;
  /** Default 10. */
  classes?: number;
}

/**
 * VGG (Simonyan and Zisserman, 2015) with BatchNorm for small images, as RepDistiller and mdistiller have it, with
 * their state dict keys, initial values and draws: five blocks of 3x3 convolutions, a 2x2 maximum after each of the
 * first three (and after the fourth for images 64 high that are 16 wide or wider), the mean over all positions, a
 * Linear. The blocks `block0` to `block4` end before their ReLU; what comes after it is `pool0:input`, `pool1:input`,
 * `pool2:input`, `block4:input` and `pool4:input`. x [rows, channels, height, width], at least 8 x 8, to logits [rows,
 * classes].
 *
 * @example
 * ```ts
 * const student = new Vgg({ convolutions: [1, 1, 1, 1, 1], classes: 100 }); // vgg8
 * ```
 */
export class Vgg extends Module {
  readonly block0: Sequential;
  readonly block1: Sequential;
  readonly block2: Sequential;
  readonly block3: Sequential;
  readonly block4: Sequential;
  readonly pool0 = new MaxPool2d(2);
  readonly pool1 = new MaxPool2d(2);
  readonly pool2 = new MaxPool2d(2);
  readonly pool3 = new MaxPool2d(2);
  readonly pool4 = new AdaptiveAvgPool2d(1);
  readonly classifier: Linear;

  constructor(options: VggOptions) {
    super();
    const { convolutions, channels, classes } = parseOptions("Vgg", OPTIONS, options);
    const [zero, one, two, three, four] = WIDTHS;
    this.block0 = block(channels, zero, convolutions[0]);
    this.block1 = block(zero, one, convolutions[1]);
    this.block2 = block(one, two, convolutions[2]);
    this.block3 = block(two, three, convolutions[3]);
    this.block4 = block(three, four, convolutions[4]);
    this.classifier = new Linear(four, classes);
    drawByOutputs(this, { std: 0.01 });
  }

  override forward(x: Tensor): Tensor {
    const first = this.pool0.forward(this.block0.forward(x).relu());
    const second = this.pool1.forward(this.block1.forward(first).relu());
    const third = this.pool2.forward(this.block2.forward(second).relu());
    const fourth = this.block3.forward(third).relu();
    const hasFour = x.shape[2] === TINY_IMAGENET_HEIGHT && x.shape[3] >= MIN_WIDTH_OF_FOUR;
    const maps = this.block4.forward(hasFour ? this.pool3.forward(fourth) : fourth).relu();
    return this.classifier.forward(this.pool4.forward(maps).flatten(1));
  }
}

/** Convolutions with BatchNorm after each and ReLU between them. */
function block(inChannels: number, channels: number, count: number): Sequential {
  const layers = Array.from({ length: count }, (_, i) => [
    new Conv2d(i === 0 ? inChannels : channels, channels, 3, { padding: 1 }),
    new BatchNorm2d(channels),
    new ReLU(),
  ]).flat();
  return new Sequential(...layers.slice(0, -1));
}

function entry(convolutions: VggOptions["convolutions"], size: NetworkCost) {
  const layers = convolutions.reduce((sum, count) => sum + count, 3);
  const name = `vgg${layers}`;
  return defineImageNetwork({
    name,
    help: `VGG's ${layers - 3} convolutions with BatchNorm and one linear layer (Simonyan and Zisserman, 2015)`,
    options: {},
    size,
    leastSide: MIN_SIDE,
    make: (given) => new Vgg({ convolutions, ...given }),
  });
}

export const vggs = [
  entry([1, 1, 1, 1, 1], { parameters: 3_965_028, multiplyAdds: 96_192_512 }),
  entry([1, 1, 2, 2, 2], { parameters: 9_277_284, multiplyAdds: 209_438_720 }),
  entry([2, 2, 2, 2, 2], { parameters: 9_462_180, multiplyAdds: 284_936_192 }),
  entry([2, 2, 3, 3, 3], { parameters: 14_774_436, multiplyAdds: 398_182_400 }),
  entry([2, 2, 4, 4, 4], { parameters: 20_086_692, multiplyAdds: 511_428_608 }),
];
