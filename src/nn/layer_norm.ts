import { argumentError, expectAtLeast0, expectDimensions, expectFlags, expectOptions, expectShape } from "../checks.js";
import { layerNorm } from "../ops/index.js";
import { expectTensor, ones, Parameter, type Tensor, zeros } from "../tensor/tensor.js";
import { pythonFloat } from "./batch_norm.js";
import { Module } from "./module.js";

/** The options of {@link LayerNorm}, with PyTorch's defaults. */
export interface LayerNormOptions {
  /** Added to the variance; default 1e-5. */
  eps?: number;
  /** Whether there are a weight and a bias to learn; default true. */
  elementwiseAffine?: boolean;
  /** Whether the bias is one of them; default true. */
  bias?: boolean;
}

/**
 * Layer normalisation over the last axes of x [..., ...normalizedShape] (Ba, Kiros and Hinton, 2016): the mean is taken
 * off and the result divided by sqrt(variance + eps), the biased one, then weight and bias are applied. Each sample is
 * normalised by itself, the same in both modes. `torch.nn.LayerNorm`, with its state keys: weight, bias.
 *
 * @throws DistilleryError `SHAPE_MISMATCH` if the last axes of x are others.
 * @example
 * ```ts
 * const norm = new LayerNorm(64);
 * norm.forward(randn([16, 64])).shape; // [16, 64]
 * ```
 */
export class LayerNorm extends Module {
  readonly normalizedShape: readonly number[];
  readonly eps: number;
  readonly weight: Parameter | null;
  readonly bias: Parameter | null;

  constructor(normalizedShape: number | readonly number[], options: LayerNormOptions = {}) {
    super();
    expectOptions("LayerNorm", options, ["eps", "elementwiseAffine", "bias"]);
    const { eps = 1e-5, elementwiseAffine = true, bias = true } = options;
    expectFlags({ elementwiseAffine, bias });
    const shape = typeof normalizedShape === "number" ? [normalizedShape] : normalizedShape;
    this.normalizedShape = [...expectDimensions("normalizedShape", shape)];
    if (this.normalizedShape.length === 0) {
      throw argumentError("normalizedShape", "expected at least one length, got []");
    }
    this.eps = expectAtLeast0("eps", eps);
    this.weight = elementwiseAffine ? new Parameter(ones(this.normalizedShape).data, this.normalizedShape) : null;
    this.bias =
      elementwiseAffine && bias ? new Parameter(zeros(this.normalizedShape).data, this.normalizedShape) : null;
  }

  override forward(x: Tensor): Tensor {
    const { normalizedShape, eps, weight, bias } = this;
    expectTensor("LayerNorm: x", x);
    expectShape("LayerNorm: last axes of x", x.shape.slice(-normalizedShape.length), normalizedShape);
    return layerNorm(x, normalizedShape, weight, bias, { eps });
  }

  override extraRepr(): string {
    const shape = `(${this.normalizedShape.join(", ")}${this.normalizedShape.length === 1 ? "," : ""})`;
    const python = (parameter: Parameter | null) => (parameter === null ? "False" : "True");
    const { eps, weight, bias } = this;
    return `${shape}, eps=${pythonFloat(eps)}, elementwise_affine=${python(weight)}, bias=${python(bias)}`;
  }
}
