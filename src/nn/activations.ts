import { expectInteger, expectNumber, expectOneOf, expectOptions } from "../checks.js";
import type { Tensor } from "../tensor/tensor.js";
import { gelu, hardswish, leakyRelu, silu, softmax } from "./functional.js";
import { Module } from "./module.js";

/** x limited to [0, 6]. `torch.nn.ReLU6`. */
export class ReLU6 extends Module {
  override forward(x: Tensor): Tensor {
    return x.clamp(0, 6);
  }
}

/** x above 0, `negativeSlope` times x elsewhere. `torch.nn.LeakyReLU`. */
export class LeakyReLU extends Module {
  constructor(readonly negativeSlope = 0.01) {
    super();
    expectNumber("negativeSlope", negativeSlope, () => true, "a finite number");
  }

  override forward(x: Tensor): Tensor {
    return leakyRelu(x, this.negativeSlope);
  }

  override extraRepr(): string {
    return `negative_slope=${this.negativeSlope}`;
  }
}

/** x times the chance that a standard normal is below x, or its approximation by tanh. `torch.nn.GELU`. */
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

/** x sigmoid(x). `torch.nn.SiLU`. */
export class SiLU extends Module {
  override forward(x: Tensor): Tensor {
    return silu(x);
  }
}

/** x min(max(x + 3, 0), 6) / 6. `torch.nn.Hardswish`. */
export class Hardswish extends Module {
  override forward(x: Tensor): Tensor {
    return hardswish(x);
  }
}

/** Softmax along an axis, the last one by default. `torch.nn.Softmax`. */
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
