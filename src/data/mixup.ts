import { add, indexSelect, mul } from "../ops/index.js";
import { noGrad } from "../tensor/autograd.js";
import { IntTensor } from "../tensor/int_tensor.js";
import { rand, randn, randperm } from "../tensor/random.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Batch } from "./dataset.js";

/** The largest alpha. The weight is 0.5 with a deviation of 0.5 / sqrt(2 alpha + 1): at 1e6 of 0.0004. */
export const MAX_MIXUP = 1e6;

/**
 * A batch whose samples are mixed with each other (mixup: Zhang et al., 2018): each becomes w times itself and 1 - w times another
 * one, in a random order of the batch. w is drawn from Beta(alpha, alpha), one for the batch, and the order after it, both from
 * the current stream, as the authors' code has it. big_vision, for its "patient and consistent" teachers, takes the next one
 * of the batch and the larger of w and 1 - w.
 */
export function mixUp(batch: Batch, alpha: number): Batch {
  const { inputs, labels, targets } = batch;
  const weight = symmetricBeta(alpha);
  const others = randperm(inputs.shape[0]).data;
  const mix = (x: Tensor) => noGrad(() => add(mul(x, weight), mul(indexSelect(x, 0, others), 1 - weight)));
  const second = new IntTensor(others.map((other) => labels.data[other]));
  return {
    ...batch,
    inputs: mix(inputs),
    ...(targets && { targets: mix(targets) }),
    mixed: { labels: second, weight },
  };
}

/** A number from 0 to 1 of the distribution Beta(alpha, alpha): X / (X + Y) of two of Gamma(alpha). */
export function symmetricBeta(alpha: number): number {
  const [x, y] = [logGamma(alpha), logGamma(alpha)];
  // Of an alpha near 0, both are below all numbers: one of the two is all the same far above the other.
  if (x === y && !Number.isFinite(x)) return uniform() < 0.5 ? 0 : 1;
  return 1 / (1 + Math.exp(y - x));
}

/** The logarithm of a number of Gamma(shape), which may be too small for a number (Marsaglia and Tsang, 2000). */
function logGamma(shape: number): number {
  // Gamma(a) is Gamma(a + 1) times the a-th root of a uniform number.
  if (shape < 1) return logGamma(shape + 1) + Math.log(uniform()) / shape;
  const d = shape - 1 / 3;
  for (;;) {
    const x = randn([1]).item();
    const v = (1 + x / Math.sqrt(9 * d)) ** 3;
    if (v > 0 && Math.log(uniform()) < x ** 2 / 2 + d * (1 - v + Math.log(v))) return Math.log(d * v);
  }
}

/** Above 0, at most 1. */
function uniform(): number {
  return 1 - rand([1]).item();
}
