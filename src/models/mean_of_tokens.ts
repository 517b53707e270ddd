import type { Tensor } from "../tensor/tensor.js";

/** Where ids [rows, length] are padding, 0: 1 there, 0 elsewhere. */
export function paddingOf(ids: Tensor): Tensor {
  return ids.clamp(0, 1).mul(-1).add(1);
}

/** The mean of x [rows, length, dim] over the tokens that are no padding: [rows, dim]; 0 if all are. */
export function meanOfTokens(x: Tensor, padding: Tensor): Tensor {
  const kept = padding.mul(-1).add(1);
  const sum = x.mul(kept.unsqueeze(2)).sum(1);
  return sum.div(kept.sum(1, true).clamp(1));
}
