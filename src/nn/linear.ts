import { expectFlags, expectLength, expectOptions } from "../checks.js";
import { linearRelu } from "../ops/linear.js";
import { rand } from "../tensor/random.js";
import { Parameter, type Tensor } from "../tensor/tensor.js";
import { isTracing } from "../tensor/tracer.js";
import { linear, relu } from "./functional.js";
import { Module } from "./module.js";

/**
 * A fully connected layer: x [rows, inFeatures] to [rows, outFeatures]. `torch.nn.Linear`, with its initial values:
 * weight, then bias, uniform in ±1/sqrt(inFeatures).
 *
 * @example
 * ```ts
 * const layer = new Linear(784, 10);
 * layer.forward(randn([64, 784])).shape; // [64, 10]
 * ```
 */
export class Linear extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options: { bias?: boolean } = {},
  ) {
    super();
    expectLength("inFeatures", inFeatures);
    expectLength("outFeatures", outFeatures);
    expectOptions("Linear", options, ["bias"]);
    const bound = 1 / Math.sqrt(inFeatures);
    this.weight = new Parameter(rand([outFeatures, inFeatures], -bound, bound).data, [outFeatures, inFeatures]);
    const { bias = true } = options;
    expectFlags({ bias });
    this.bias = bias ? new Parameter(rand([outFeatures], -bound, bound).data) : null;
  }

  override forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias);
  }

  override extraRepr(): string {
    const bias = this.bias === null ? "False" : "True";
    return `in_features=${this.inFeatures}, out_features=${this.outFeatures}, bias=${bias}`;
  }
}

const { forward: linearForward } = Linear.prototype;

/**
 * ReLU of a module's output; after a Linear layer both are one operation, unless something reads the value in between.
 */
export function forwardRelu(module: Module, x: Tensor): Tensor {
  const isFused = module instanceof Linear && module.forward === linearForward && !isTracing();
  return isFused ? linearRelu(x, module.weight, module.bias) : relu(module.forward(x));
}
