import { expectAtLeast0, expectOptions } from "../checks.js";
import { axisOf, isSameShape } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { add, div, mul, rsub } from "./binary.js";
import { broadcastShape } from "./broadcast.js";
import { detach } from "./detach.js";
import { expand } from "./expand.js";
import { norm } from "./statistics.js";
import { sum } from "./sum.js";
import { clamp } from "./unary.js";

/**
 * x divided by its p-norm along an axis, by at least `eps`. `torch.nn.functional.normalize`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `BAD_ARGUMENT` for an axis that x lacks, or a p other than 1, 2 or Infinity.
 * @example
 * ```ts
 * F.normalize(tensor([[3, 4]])).toArray(); // [[0.6, 0.8]]
 * ```
 */
export function normalize(x: Tensor, options: { p?: number; dim?: number; eps?: number } = {}): Tensor {
  expectOptions("normalize", options, ["p", "dim", "eps"]);
  const { p = 2, dim = 1, eps = 1e-12 } = options;
  expectTensor("normalize: x", x);
  expectAtLeast0("normalize: eps", eps);
  return div(x, clamp(norm(x, p, dim, true), eps));
}

/**
 * The cosine of the angle between a and b along an axis; each norm counts as at least `eps`.
 * `torch.nn.functional.cosine_similarity`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH` for shapes that do not broadcast, `BAD_ARGUMENT` for an axis
 * that they lack.
 * @example
 * ```ts
 * F.cosineSimilarity(tensor([[1, 0]]), tensor([[1, 1]])).toArray(); // [0.7071...]
 * ```
 */
export function cosineSimilarity(a: Tensor, b: Tensor, options: { dim?: number; eps?: number } = {}): Tensor {
  expectOptions("cosineSimilarity", options, ["dim", "eps"]);
  const { dim = 1, eps = 1e-8 } = options;
  expectTensor("cosineSimilarity: a", a);
  expectTensor("cosineSimilarity: b", b);
  expectAtLeast0("cosineSimilarity: eps", eps);
  const shape = broadcastShape("cosineSimilarity", a, b);
  const unit = (x: Tensor) => {
    const whole = isSameShape(a.shape, b.shape) ? x : expandAlong(x, shape, axisOf(shape, dim));
    const length = norm(whole, 2, dim, true);
    // What is missing to eps is a constant, as in PyTorch.
    return div(whole, add(length, detach(clamp(rsub(length, eps), 0))));
  };
  return sum(mul(unit(a), unit(b)), dim);
}

/** x with as many axes as a shape, and its length along one of them: PyTorch's norms are of what was broadcast. */
function expandAlong(x: Tensor, shape: readonly number[], along: number): Tensor {
  const lead = shape.length - x.shape.length;
  return expand(
    x,
    shape.map((length, axis) => (axis === along ? length : (x.shape[axis - lead] ?? 1))),
  );
}
