import * as v from "valibot";
import { Conv2d } from "../nn/conv.js";
import { forwardRelu, Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { MaxPool2d } from "../nn/pooling.js";
import { described, integer, length, list, parseOptions } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { expectImages } from "./images.js";
import { defineNetwork, type NetworkContext } from "./network.js";

/** Sides of the images of the paper, in which digits of 28 have a margin of 2. */
const SIDE = 32;
/** The sides of what the second maximum gives, for images of a side with padding. */
const lastSide = (side: number, padding: number) => Math.floor((Math.floor((side + 2 * padding - 4) / 2) - 4) / 2);
/** The least side that leaves a pixel, without padding. */
const MIN_SIDE = 16;

const OPTIONS = {
  padding: described(
    v.optional(integer(0, 2 ** 15)),
    "zeros around the images (default: 2 if a side is below 32 pixels, otherwise 0)",
  ),
};
const IMAGE = {
  shape: v.optional(list(length(), "a shape, as [1, 28, 28]"), [1, 28, 28]),
  classes: v.optional(length(), 10),
};

/** The arguments of {@link LeNet5}. */
export interface LeNet5Options {
  /** Of the images: [channels, height, width]. Default [1, 28, 28]. */
  shape?: readonly number[];
  /** Zeros around the images; default: 2 if a side is below 32 pixels, otherwise 0. */
  padding?: number;
  /** Default 10. */
  classes?: number;
}

/**
 * LeNet-5 (LeCun et al., 1998) as today's tutorials have it, with ReLU and maxima: 5x5 convolutions of 6 and 16
 * channels, each with a 2x2 maximum after it, then Linear layers of 120, 84 and `classes`. State dict keys: `conv1`,
 * `conv2`, `fc1`, `fc2`, `fc3`, those of PyTorch's tutorials. x [rows, channels, height, width] to logits [rows,
 * classes].
 *
 * @example
 * ```ts
 * const student = new LeNet5({ shape: [1, 28, 28] }); // 61,706 parameters
 * ```
 */
export class LeNet5 extends Module {
  readonly conv1: Conv2d;
  readonly conv2: Conv2d;
  readonly fc1: Linear;
  readonly fc2: Linear;
  readonly fc3: Linear;
  readonly #pool = new MaxPool2d(2);

  constructor(options: LeNet5Options = {}) {
    super();
    const given = parseOptions("LeNet5", { ...OPTIONS, ...IMAGE }, options);
    const { shape, classes } = given;
    const small = expectImages("lenet5", { shape });
    const { padding = Math.min(small.height, small.width) < SIDE ? 2 : 0 } = given;
    const { channels, height, width } = expectImages("lenet5", { shape }, Math.max(1, MIN_SIDE - 2 * padding));
    this.conv1 = new Conv2d(channels, 6, 5, { padding });
    this.conv2 = new Conv2d(6, 16, 5);
    this.fc1 = new Linear(16 * lastSide(height, padding) * lastSide(width, padding), 120);
    this.fc2 = new Linear(120, 84);
    this.fc3 = new Linear(84, classes);
  }

  override forward(x: Tensor): Tensor {
    const first = this.#pool.forward(this.conv1.forward(x).relu());
    const second = this.#pool.forward(this.conv2.forward(first).relu());
    const hidden = forwardRelu(this.fc1, second.flatten(1));
    return this.fc3.forward(forwardRelu(this.fc2, hidden));
  }
}

export const lenet5 = defineNetwork({
  name: "lenet5",
  help: "LeNet-5: two convolutions and three linear layers (LeCun et al., 1998)",
  options: OPTIONS,
  size: { parameters: 61_706, multiplyAdds: 416_520, shape: [1, 28, 28], classes: 10 },
  create: ({ padding }, { shape, classes }: NetworkContext) => new LeNet5({ shape, classes, padding }),
});
