import { badArgument, expectFinite, expectFlags, expectOptions, expectPositive, expectShape } from "../checks.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { add, minimum, sub } from "./binary.js";
import { expectReduction, type Reduction, reduce } from "./losses.js";
import { norm } from "./statistics.js";
import { clamp } from "./unary.js";

/** The options of {@link tripletMarginLoss}, with PyTorch's defaults. */
export interface TripletMarginLossOptions {
  reduction?: Reduction;
  /** How much farther than the positive the negative has to be; default 1. */
  margin?: number;
  /** The norm of the distances: 1, 2 or Infinity; default 2. */
  p?: number;
  /** Added to each element of a difference; default 1e-6. */
  eps?: number;
  /** Whether the negative's distance is the smaller one of those to anchor and positive; default false. */
  swap?: boolean;
}

/**
 * max(0, |anchor - positive| - |anchor - negative| + margin) of rows of tensors [..., features], by default the mean
 * over the rows. `torch.nn.functional.triplet_margin_loss`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH` for tensors of other shapes than the anchor's, `BAD_ARGUMENT`
 * for options out of range.
 * @example
 * ```ts
 * const [anchor, positive, negative] = [tensor([[0, 0]]), tensor([[3, 4]]), tensor([[0, 2]])];
 * F.tripletMarginLoss(anchor, positive, negative).item(); // 4, which is 5 - 2 + 1
 * ```
 */
export function tripletMarginLoss(
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  options: TripletMarginLossOptions = {},
): Tensor {
  const name = "tripletMarginLoss";
  expectOptions(name, options, ["reduction", "margin", "p", "eps", "swap"]);
  const { reduction = "mean", margin = 1, p = 2, eps = 1e-6, swap = false } = options;
  expectReduction(name, reduction);
  expectPositive(`${name}: margin`, margin);
  expectFinite(`${name}: eps`, eps);
  if (![1, 2, Number.POSITIVE_INFINITY].includes(p)) throw badArgument(`${name}: p`, "1, 2 or Infinity", p);
  expectFlags({ swap });
  expectTensor(`${name}: anchor`, anchor);
  if (anchor.shape.length === 0) throw badArgument(`${name}: anchor`, "a shape [..., features]", anchor.shape);
  for (const [key, other] of Object.entries({ positive, negative })) {
    expectTensor(`${name}: ${key}`, other);
    expectShape(`${name}: ${key}`, other.shape, anchor.shape);
  }
  const distance = (x: Tensor, y: Tensor) => norm(add(sub(x, y), eps), p, -1);
  const far = distance(anchor, negative);
  const nearest = swap ? minimum(far, distance(positive, negative)) : far;
  return reduce(clamp(add(sub(distance(anchor, positive), nearest), margin), 0), reduction);
}
