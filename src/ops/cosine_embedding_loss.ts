import { badArgument, expectFinite, expectOptions, expectShape } from "../checks.js";
import { IntTensor, type Labels, labelData } from "../tensor/int_tensor.js";
import { expectTensor, Tensor } from "../tensor/tensor.js";
import { add, div, mul, rsub, sub } from "./binary.js";
import { where } from "./compare.js";
import { expectReduction, type Reduction, reduce } from "./losses.js";
import { sum } from "./sum.js";
import { clamp, sqrt } from "./unary.js";

/** PyTorch's, which is added to the squares of the norms. */
const EPS = 1e-12;

/** The options of {@link cosineEmbeddingLoss}. */
export interface CosineEmbeddingLossOptions {
  reduction?: Reduction;
  /** The cosine up to which a row with target -1 adds nothing; default 0. */
  margin?: number;
}

/**
 * Of rows of a and b [rows, features]: 1 - cosine for a target of 1, max(0, cosine - margin) for one of -1, by default
 * the mean over the rows. The target [rows] is one for each row. `torch.nn.functional.cosine_embedding_loss`.
 *
 * @example
 * ```ts
 * F.cosineEmbeddingLoss(tensor([[1, 0]]), tensor([[1, 1]]), ones([1])).item(); // 0.2928..., 1 minus the cosine
 * ```
 */
export function cosineEmbeddingLoss(
  a: Tensor,
  b: Tensor,
  target: Labels | Tensor,
  options: CosineEmbeddingLossOptions = {},
): Tensor {
  expectTensor("cosineEmbeddingLoss: a", a);
  expectTensor("cosineEmbeddingLoss: b", b);
  expectOptions("cosineEmbeddingLoss", options, ["reduction", "margin"]);
  const { reduction = "mean", margin = 0 } = options;
  expectReduction("cosineEmbeddingLoss", reduction);
  expectFinite("cosineEmbeddingLoss: margin", margin);
  const { shape } = a;
  if (shape.length < 1 || shape.length > 2)
    throw badArgument("cosineEmbeddingLoss: a", "a shape [rows, features] or [features]", shape);
  expectShape("cosineEmbeddingLoss: b", b.shape, shape);
  const isNear = signs(target, shape.slice(0, -1));
  const squares = mul(add(sum(mul(a, a), -1), EPS), add(sum(mul(b, b), -1), EPS));
  const cosine = div(sum(mul(a, b), -1), sqrt(squares));
  return reduce(where(isNear, rsub(cosine, 1), clamp(sub(cosine, margin), 0)), reduction);
}

/** 1 where the target is 1, 0 where it is -1. */
function signs(target: Labels | Tensor, shape: readonly number[]): IntTensor {
  const values = target instanceof Tensor ? target.data : labelData(target);
  expectShape("cosineEmbeddingLoss: target", "shape" in target ? target.shape : [values.length], shape);
  const bad = values.findIndex((value) => value !== 1 && value !== -1);
  if (bad >= 0) throw badArgument(`cosineEmbeddingLoss: target[${bad}]`, "1 or -1", values[bad]);
  return new IntTensor(
    Int32Array.from(values, (value) => Number(value === 1)),
    shape,
  );
}
