import { argumentError, expectAtLeast0, expectFlags, expectLength, expectOptions, expectShape } from "../checks.js";
import { layerNorm } from "../ops/index.js";
import { numel } from "../tensor/shape.js";
import { expectTensor, ones, Parameter, type Tensor, zeros } from "../tensor/tensor.js";
import { pythonFloat } from "./batch_norm.js";
import { Module } from "./module.js";

/**
 * Group normalisation of x [rows, numChannels, ...] (Wu and He, 2018): each group of channels of a sample is normalised
 * by its own mean and biased variance, then weight and bias are applied by channel. The same in both modes.
 * `torch.nn.GroupNorm`, with its state keys: weight, bias.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for groups that do not divide the channels, `SHAPE_MISMATCH` for other
 * channels.
 * @example
 * ```ts
 * new GroupNorm(4, 16).forward(randn([8, 16, 32, 32])).shape; // [8, 16, 32, 32]
 * ```
 */
export class GroupNorm extends Module {
  readonly eps: number;
  readonly weight: Parameter | null;
  readonly bias: Parameter | null;

  constructor(
    readonly numGroups: number,
    readonly numChannels: number,
    options: { eps?: number; affine?: boolean; bias?: boolean } = {},
  ) {
    super();
    expectLength("numGroups", numGroups);
    expectLength("numChannels", numChannels);
    expectOptions("GroupNorm", options, ["eps", "affine", "bias"]);
    const { eps = 1e-5, affine = true, bias = true } = options;
    expectFlags({ affine, bias });
    if (numChannels % numGroups !== 0) {
      const text = `expected a number that divides numChannels (${numChannels}), got ${numGroups}`;
      throw argumentError("numGroups", text);
    }
    this.eps = expectAtLeast0("eps", eps);
    this.weight = affine ? new Parameter(ones([numChannels]).data) : null;
    this.bias = affine && bias ? new Parameter(zeros([numChannels]).data) : null;
  }

  override forward(x: Tensor): Tensor {
    const { numGroups, numChannels, eps, weight, bias } = this;
    expectTensor("GroupNorm: x", x);
    const rest = x.shape.slice(2);
    expectShape("GroupNorm: x", x.shape, [-1, numChannels, ...rest]);
    const size = (numChannels / numGroups) * numel(rest);
    const groups = x.reshape([x.shape[0], numGroups, size]);
    const normalized = layerNorm(groups, [size], null, null, { eps }).reshape(x.shape);
    const byChannel = (parameter: Parameter) => parameter.reshape([numChannels, ...rest.map(() => 1)]);
    const scaled = weight === null ? normalized : normalized.mul(byChannel(weight));
    return bias === null ? scaled : scaled.add(byChannel(bias));
  }

  override extraRepr(): string {
    const { numGroups, numChannels, eps, weight, bias } = this;
    const python = (parameter: Parameter | null) => (parameter === null ? "False" : "True");
    return `${numGroups}, ${numChannels}, eps=${pythonFloat(eps)}, affine=${python(weight)}, bias=${python(bias)}`;
  }
}
