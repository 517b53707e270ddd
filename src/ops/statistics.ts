import { badArgument, expectFinite, expectOptions } from "../checks.js";
import { numel } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { div, mul, sub } from "./binary.js";
import { eq, where } from "./compare.js";
import { defineFunction } from "./define_function.js";
import { amax, max } from "./max.js";
import { defineMethods } from "./methods.js";
import { permute } from "./permute.js";
import { reshape } from "./reshape.js";
import { axesOf, expectKeepdim, mean, sum } from "./sum.js";
import { abs, root } from "./unary.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** The variance of all elements, or along axes; unbiased by default. `torch.var`. */
    var(dim?: number | readonly number[], options?: VarianceOptions): Tensor;
    /** The standard deviation of all elements, or along axes; unbiased by default. `torch.std`. */
    std(dim?: number | readonly number[], options?: VarianceOptions): Tensor;
    /** The p-norm of all elements, or along axes, for p of 1, 2 or infinity. `torch.linalg.vector_norm`. */
    norm(p?: number, dim?: number | readonly number[], keepdim?: boolean): Tensor;
  }
}

/** The options of a variance. */
export interface VarianceOptions {
  /** Subtracted from the number of elements in the divisor; default 1. */
  readonly correction?: number;
  readonly keepdim?: boolean;
}

/** The variance of all elements, or along axes: the sum of squares from the mean by n - correction. `torch.var`. */
export function variance(x: Tensor, dim?: number | readonly number[], options: VarianceOptions = {}): Tensor {
  expectTensor("var: x", x);
  expectOptions("var", options, ["correction", "keepdim"]);
  const { correction = 1, keepdim = false } = options;
  expectFinite("var: correction", correction);
  expectKeepdim("var", keepdim);
  const axes = axesOf(x.shape, dim);
  const count = axes === null ? x.size : numel(axes.map((axis) => x.shape[axis]));
  const by = Math.max(0, count - correction);
  const ofSquares = (centred: Tensor) => div(sum(mul(centred, centred), dim, keepdim), by);
  const centredOf = (of: Tensor) => sub(of, mean(of, dim, true));
  if (by > 0) return ofSquares(centredOf(x));
  // Divided by 0: through the mean the gradient would be the difference of infinities.
  return defineFunction<[Tensor]>({
    name: "var",
    forward: (_, of) => ofSquares(centredOf(of)),
    backward: (_, grad) => {
      if (dim === undefined) return mul(where(eq(x, mean(x)), Number.NaN, Number.POSITIVE_INFINITY), grad);
      const kept = x.shape.map((length, axis) => (axes === null || axes.includes(axis) ? 1 : length));
      // With the count less the correction as it is, as PyTorch has it along axes.
      return mul(mul(reshape(grad, kept), 2 / (count - correction)), centredOf(x));
    },
  })(x);
}

/** The standard deviation: the root of the {@link variance}. `torch.std`. */
export function std(x: Tensor, dim?: number | readonly number[], options: VarianceOptions = {}): Tensor {
  expectTensor("std: x", x);
  expectOptions("std", options, ["correction", "keepdim"]);
  return root(variance(x, dim, options));
}

/** The p-norm of all elements, or along axes: p of 1, 2 or Infinity. `torch.linalg.vector_norm`. */
export function norm(x: Tensor, p = 2, dim?: number | readonly number[], keepdim = false): Tensor {
  expectTensor("norm: x", x);
  expectKeepdim("norm", keepdim);
  if (p === 2) return root(sum(mul(x, x), dim, keepdim));
  if (p === 1) return sum(abs(x), dim, keepdim);
  if (p !== Number.POSITIVE_INFINITY) throw badArgument("norm: p", "1, 2 or Infinity", p);
  const axes = axesOf(x.shape, dim);
  const sizes = abs(x);
  if (axes?.length === 1) return amax(sizes, axes[0], keepdim);
  const isReduced = (axis: number) => axes === null || axes.includes(axis);
  const shape = x.shape.flatMap((length, axis) => (isReduced(axis) ? (keepdim ? [1] : []) : [length]));
  if (axes === null) return reshape(max(sizes), shape);
  // One axis of all: those that are equal share the gradient over all of them.
  const kept = x.shape.flatMap((_, axis) => (isReduced(axis) ? [] : [axis]));
  const moved = permute(sizes, [...kept, ...axes]);
  const lengths = [kept, axes].map((list) => list.map((axis) => x.shape[axis]));
  return reshape(amax(reshape(moved, [...lengths[0], numel(lengths[1])]), kept.length, false), shape);
}

defineMethods({ var: variance, std, norm });
