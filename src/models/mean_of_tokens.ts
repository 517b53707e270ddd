import type { Module } from "../nn/module.js";
import { isRecorded } from "../nn/taps.js";
import { isRecording } from "../tensor/autograd.js";
import type { Tensor } from "../tensor/tensor.js";
import { isTracing } from "../tensor/tracer.js";

/** The minimum number of ids in a batch. */
const LEAST = 8;
/** A matrix product over more of them is a sum of partial sums, the first of which has more than half as many. */
const ONE_SUM = 384;

/**
 * Ids [rows, length] up to the length of the longest text, rounded up to a power of two: the rest is padding in all
 * rows, which {@link paddingOf} excludes. In eval mode the outputs have the same bits, so the other texts of a batch do
 * not matter. Graphs have one length, and so has a teacher in train mode, which draws as its graph does, and a network
 * whose hidden outputs a loss compares with those of graphs; the hidden outputs of `head` have no tokens. Powers of
 * two, because memory is kept for each length.
 */
export function withoutPadding(network: Module, ids: Tensor, head: Module | null = null): Tensor {
  if (isTracing() || isRecorded(network, head) || (network.training && !isRecording(network.parameters()))) return ids;
  const [rows, length] = ids.shape;
  let longest = LEAST;
  for (let row = 0; row < rows; row++) {
    for (let at = length - 1; at >= longest; at--) {
      if (ids.data[row * length + at] === 0) continue;
      while (longest <= at) longest *= 2;
    }
  }
  const isSame = length <= ONE_SUM || longest <= ONE_SUM / 2;
  return longest < length && isSame ? ids.slice(0, longest, { dim: 1 }) : ids;
}

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
