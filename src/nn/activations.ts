import { badArgument, expectFinite, expectInteger, expectOneOf, expectOptions } from "../checks.js";
import type { Tensor } from "../tensor/tensor.js";
import { gelu, hardswish, leakyRelu, logSoftmax, sigmoid, silu, softmax, tanh } from "./functional.js";
import { Module } from "./module.js";

/**
 * x limited to [0, 6]. `torch.nn.ReLU6`.
 *
 * @example
 * ```ts
 * new ReLU6().forward(tensor([-1, 3, 8])); // [0, 3, 6]
 * ```
 */
export class ReLU6 extends Module {
  constructor(extra?: never) {
    super();
    if (extra !== undefined) throw badArgument("ReLU6", "no arguments", extra);
  }

  override forward(x: Tensor): Tensor {
    return x.clamp(0, 6);
  }
}

/**
 * x above 0, `negativeSlope` times x elsewhere. `torch.nn.LeakyReLU`.
 *
 * @example
 * ```ts
 * new LeakyReLU(0.1).forward(tensor([-2, 3])); // [-0.2, 3]
 * ```
 */
export class LeakyReLU extends Module {
  constructor(readonly negativeSlope = 0.01) {
    super();
    expectFinite("negativeSlope", negativeSlope);
  }

  override forward(x: Tensor): Tensor {
    return leakyRelu(x, this.negativeSlope);
  }

  override extraRepr(): string {
    return `negative_slope=${this.negativeSlope}`;
  }
}

/**
 * x times the probability that a standard normal is below x, or its approximation by tanh. `torch.nn.GELU`.
 *
 * @example
 * ```ts
 * new GELU().forward(tensor([-1, 0, 1])); // [-0.1587, 0, 0.8413]
 * ```
 */
export class GELU extends Module {
  readonly approximate: "none" | "tanh";

  constructor(options: { approximate?: "none" | "tanh" } = {}) {
    super();
    expectOptions("GELU", options, ["approximate"]);
    const { approximate = "none" } = options;
    this.approximate = expectOneOf("approximate", approximate, ["none", "tanh"]);
  }

  override forward(x: Tensor): Tensor {
    return gelu(x, { approximate: this.approximate });
  }

  override extraRepr(): string {
    return `approximate='${this.approximate}'`;
  }
}

/**
 * x sigmoid(x). `torch.nn.SiLU`.
 *
 * @example
 * ```ts
 * new SiLU().forward(tensor([-1, 0, 1])); // [-0.2689, 0, 0.7311]
 * ```
 */
export class SiLU extends Module {
  constructor(extra?: never) {
    super();
    if (extra !== undefined) throw badArgument("SiLU", "no arguments", extra);
  }

  override forward(x: Tensor): Tensor {
    return silu(x);
  }
}

/**
 * x min(max(x + 3, 0), 6) / 6. `torch.nn.Hardswish`.
 *
 * @example
 * ```ts
 * new Hardswish().forward(tensor([-3, 1, 4])); // [0, 0.6667, 4]
 * ```
 */
export class Hardswish extends Module {
  constructor(extra?: never) {
    super();
    if (extra !== undefined) throw badArgument("Hardswish", "no arguments", extra);
  }

  override forward(x: Tensor): Tensor {
    return hardswish(x);
  }
}

/**
 * The hyperbolic tangent. `torch.nn.Tanh`.
 *
 * @example
 * ```ts
 * new Tanh().forward(tensor([-1, 0, 1])); // [-0.7616, 0, 0.7616]
 * ```
 */
export class Tanh extends Module {
  constructor(extra?: never) {
    super();
    if (extra !== undefined) throw badArgument("Tanh", "no arguments", extra);
  }

  override forward(x: Tensor): Tensor {
    return tanh(x);
  }
}

/**
 * 1 / (1 + exp(-x)). `torch.nn.Sigmoid`.
 *
 * @example
 * ```ts
 * new Sigmoid().forward(tensor([-1, 0, 1])); // [0.2689, 0.5, 0.7311]
 * ```
 */
export class Sigmoid extends Module {
  constructor(extra?: never) {
    super();
    if (extra !== undefined) throw badArgument("Sigmoid", "no arguments", extra);
  }

  override forward(x: Tensor): Tensor {
    return sigmoid(x);
  }
}

/**
 * Softmax along an axis, the last one by default. `torch.nn.Softmax`.
 *
 * @example
 * ```ts
 * new Softmax().forward(tensor([[0, Math.log(3)]])); // [[0.25, 0.75]]
 * ```
 */
export class Softmax extends Module {
  constructor(readonly dim = -1) {
    super();
    expectInteger("dim", dim, -(2 ** 31), 2 ** 31 - 1);
  }

  override forward(x: Tensor): Tensor {
    return softmax(x, this.dim);
  }

  override extraRepr(): string {
    return `dim=${this.dim}`;
  }
}

/**
 * The logarithm of {@link Softmax}, without underflow. `torch.nn.LogSoftmax`.
 *
 * @example
 * ```ts
 * new LogSoftmax().forward(tensor([[0, Math.log(3)]])); // [[-1.3863, -0.2877]]
 * ```
 */
export class LogSoftmax extends Softmax {
  override forward(x: Tensor): Tensor {
    return logSoftmax(x, this.dim);
  }
}
