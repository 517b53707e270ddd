import {
  badArgument,
  expectAtLeast0,
  expectFlags,
  expectInteger,
  expectOneOf,
  expectOptions,
  expectPositive,
  expectShape,
  outOfRange,
} from "../checks.js";
import { IntTensor, type Labels, labelData } from "../tensor/int_tensor.js";
import { expectTensor, Tensor, zeros } from "../tensor/tensor.js";
import { add, div, mul, rsub, sub } from "./binary.js";
import { broadcastShape } from "./broadcast.js";
import { gather, indexSelect, scatter } from "./indexing.js";
import { permute } from "./permute.js";
import { reshape } from "./reshape.js";
import { mean, sum } from "./sum.js";
import { abs, clamp, exp, logSigmoid, neg, xLogX } from "./unary.js";

/** How the values of a loss become one: not at all, their mean, or their sum. */
export type Reduction = "none" | "mean" | "sum";

const REDUCTIONS = ["none", "mean", "sum"] as const;

/** Refuses what is no {@link Reduction}. */
export function expectReduction(name: string, reduction: unknown): void {
  expectOneOf(`${name}: reduction`, reduction, REDUCTIONS);
}

/** The values of a loss, their mean or their sum. */
export function reduce(loss: Tensor, reduction: Reduction): Tensor {
  if (reduction === "none") return loss;
  return reduction === "mean" ? mean(loss) : sum(loss);
}

function expectAlike(name: string, input: Tensor, target: Tensor): void {
  expectTensor(`${name}: input`, input);
  expectTensor(`${name}: target`, target);
  expectShape(`${name}: target`, target.shape, input.shape);
}

/**
 * (input - target)², by default its mean. `torch.nn.functional.mse_loss`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH` for a target of another shape, `BAD_ARGUMENT` for another
 * reduction.
 * @example
 * ```ts
 * F.mseLoss(tensor([1, 2]), tensor([1, 4])).item(); // 2
 * ```
 */
export function mseLoss(input: Tensor, target: Tensor, options: { reduction?: Reduction } = {}): Tensor {
  expectAlike("mseLoss", input, target);
  expectOptions("mseLoss", options, ["reduction"]);
  const { reduction = "mean" } = options;
  expectReduction("mseLoss", reduction);
  const difference = sub(input, target);
  return reduce(mul(difference, difference), reduction);
}

/**
 * |input - target|, by default its mean. `torch.nn.functional.l1_loss`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH` for a target of another shape, `BAD_ARGUMENT` for another
 * reduction.
 * @example
 * ```ts
 * F.l1Loss(tensor([1, 2]), tensor([1, 4])).item(); // 1
 * ```
 */
export function l1Loss(input: Tensor, target: Tensor, options: { reduction?: Reduction } = {}): Tensor {
  expectAlike("l1Loss", input, target);
  expectOptions("l1Loss", options, ["reduction"]);
  const { reduction = "mean" } = options;
  expectReduction("l1Loss", reduction);
  return reduce(abs(sub(input, target)), reduction);
}

/**
 * d² / (2 beta) for a difference d below beta, |d| - beta / 2 above, by default its mean.
 * `torch.nn.functional.smooth_l1_loss`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH` for a target of another shape, `BAD_ARGUMENT` for a beta below
 * 0.
 * @example
 * ```ts
 * F.smoothL1Loss(tensor([1, 2]), tensor([1.5, 4])).item(); // 0.8125, the mean of 0.125 and 1.5
 * ```
 */
export function smoothL1Loss(
  input: Tensor,
  target: Tensor,
  options: { reduction?: Reduction; beta?: number } = {},
): Tensor {
  expectOptions("smoothL1Loss", options, ["reduction", "beta"]);
  const { reduction = "mean", beta = 1 } = options;
  expectReduction("smoothL1Loss", reduction);
  expectAlike("smoothL1Loss", input, target);
  expectAtLeast0("smoothL1Loss: beta", beta);
  if (beta === 0) return l1Loss(input, target, { reduction });
  const distance = abs(sub(input, target));
  // With m = min(d, beta), m / beta (d - m / 2) is both branches at once, and no term of its gradient exceeds the sum.
  const near = clamp(distance, null, beta);
  return reduce(mul(div(near, beta), sub(distance, div(near, 2))), reduction);
}

/**
 * d² / 2 for a difference d below delta, delta (|d| - delta / 2) above, by default its mean: delta times
 * {@link smoothL1Loss} with `beta` delta. `torch.nn.functional.huber_loss`.
 *
 * @example
 * ```ts
 * F.huberLoss(tensor([1, 2]), tensor([1.5, 4]), { delta: 0.5 }).item(); // 0.5, the mean of 0.125 and 0.875
 * ```
 */
export function huberLoss(
  input: Tensor,
  target: Tensor,
  options: { reduction?: Reduction; delta?: number } = {},
): Tensor {
  expectOptions("huberLoss", options, ["reduction", "delta"]);
  const { reduction = "mean", delta = 1 } = options;
  expectReduction("huberLoss", reduction);
  expectAlike("huberLoss", input, target);
  expectPositive("huberLoss: delta", delta);
  const distance = abs(sub(input, target));
  const near = clamp(distance, null, delta);
  return reduce(mul(near, sub(distance, div(near, 2))), reduction);
}

/**
 * The binary cross-entropy of sigmoid(input) with targets from 0 to 1, by default its mean: without overflow from the
 * logits. `torch.nn.functional.binary_cross_entropy_with_logits`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH` for a target of another shape, `BAD_ARGUMENT` for another
 * reduction.
 * @example
 * ```ts
 * F.binaryCrossEntropyWithLogits(tensor([0, 0]), tensor([1, 0])).item(); // 0.6931...
 * ```
 */
export function binaryCrossEntropyWithLogits(
  input: Tensor,
  target: Tensor,
  options: { reduction?: Reduction; weight?: Tensor; posWeight?: Tensor } = {},
): Tensor {
  expectOptions("binaryCrossEntropyWithLogits", options, ["reduction", "weight", "posWeight"]);
  const { reduction = "mean", weight, posWeight } = options;
  expectReduction("binaryCrossEntropyWithLogits", reduction);
  expectAlike("binaryCrossEntropyWithLogits", input, target);
  for (const [key, factor] of Object.entries({ weight, posWeight })) {
    if (factor === undefined) continue;
    const what = `binaryCrossEntropyWithLogits: ${key}`;
    expectTensor(what, factor);
    // One that is larger would broadcast the loss.
    expectShape(`${what}, broadcast with input`, broadcastShape(what, factor, input), input.shape);
  }
  const logWeight = posWeight === undefined ? null : add(mul(sub(posWeight, 1), target), 1);
  const positive = logWeight === null ? logSigmoid(input) : mul(logWeight, logSigmoid(input));
  const loss = sub(mul(rsub(target, 1), input), positive);
  return reduce(weight === undefined ? loss : mul(loss, weight), reduction);
}

/**
 * target (log(target) - input), the input in logarithms, and with `logTarget` the target too: by default the mean over
 * all elements; "batchmean" divides by the rows only. `torch.nn.functional.kl_div`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH` for a target of another shape, `BAD_ARGUMENT` for another
 * reduction.
 * @example
 * ```ts
 * const logProbabilities = F.logSoftmax(student.forward(x).div(4));
 * const soft = F.klDiv(logProbabilities, F.softmax(teacherLogits.div(4)), { reduction: "batchmean" }).mul(16);
 * ```
 */
export function klDiv(
  input: Tensor,
  target: Tensor,
  options: { reduction?: Reduction | "batchmean"; logTarget?: boolean } = {},
): Tensor {
  expectOptions("klDiv", options, ["reduction", "logTarget"]);
  const { reduction = "mean", logTarget = false } = options;
  expectOneOf("klDiv: reduction", reduction, [...REDUCTIONS, "batchmean"]);
  expectAlike("klDiv", input, target);
  expectFlags({ logTarget });
  const loss = logTarget ? mul(exp(target), sub(target, input)) : sub(xLogX(target), mul(target, input));
  if (reduction === "batchmean") return input.shape.length === 0 ? sum(loss) : div(sum(loss), input.shape[0]);
  return reduce(loss, reduction);
}

/** The options of {@link nllLoss}. */
export interface NllLossOptions {
  reduction?: Reduction;
  /** Rows with this label add nothing to the loss; default -100. */
  ignoreIndex?: number;
  /** [classes]: a factor for each class; the mean is divided by the labels' own. A constant: it gets no gradient. */
  weight?: Tensor;
}

/**
 * Minus the log-probability of each label [rows, ...], input [rows, classes, ...] in logarithms; by default the mean
 * over the labels that are not `ignoreIndex`, which is NaN if there are none. `torch.nn.functional.nll_loss`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH`, `LABEL_OUT_OF_RANGE`, `BAD_ARGUMENT` for another reduction.
 * @example
 * ```ts
 * F.nllLoss(tensor([[0.25, 0.75]]).log(), Int32Array.of(1)).item(); // 0.2876...
 * ```
 */
export function nllLoss(input: Tensor, target: Labels, options: NllLossOptions = {}): Tensor {
  expectOptions("nllLoss", options, ["reduction", "ignoreIndex", "weight"]);
  expectTensor("nllLoss: input", input);
  if (input.shape.length < 2) throw badArgument("nllLoss: input", "a shape [rows, classes, ...]", input.shape);
  const { ignoreIndex = -100 } = options;
  return smoothedNllLoss("nllLoss", "target", input, target, { ...options, ignoreIndex }, 0);
}

/** {@link nllLoss} with label smoothing; without `ignoreIndex` every label is a class. */
export function smoothedNllLoss(
  name: string,
  targetName: string,
  input: Tensor,
  target: Labels,
  options: NllLossOptions,
  labelSmoothing: number,
): Tensor {
  const { reduction = "mean", ignoreIndex, weight } = options;
  expectReduction(name, reduction);
  if (ignoreIndex !== undefined) expectInteger(`${name}: ignoreIndex`, ignoreIndex, -(2 ** 31), 2 ** 31 - 1);
  const labels = labelData(target);
  const [rows, classes, ...inner] = input.shape;
  const shape = [rows, ...inner];
  expectShape(`${name}: ${targetName}`, target instanceof IntTensor ? target.shape : [labels.length], shape);
  if (weight !== undefined) expectClassWeight(name, weight, classes);
  const last = inner.length === 0 ? input : permute(input, [0, ...inner.map((_, axis) => axis + 2), 1]);
  const bad = labels.findIndex((label) => label !== ignoreIndex && (label < 0 || label >= classes));
  if (bad >= 0) throw outOfRange(`${name}: ${targetName}[${bad}]`, classes, labels[bad]);
  const kept = Int32Array.from(labels.keys()).filter((row) => labels[row] !== ignoreIndex);
  const indices = new IntTensor(kept.map((row) => row * classes + labels[row]));
  const factors = weight && new Tensor(weight.data.slice());
  const own = factors && new Tensor(Float32Array.from(kept, (row) => factors.data[labels[row]]));
  const picked = neg(gather(reshape(last, [input.size]), 0, indices));
  let loss = own ? mul(picked, own) : picked;
  if (labelSmoothing > 0) {
    const all = indexSelect(reshape(last, [labels.length, classes]), 0, kept);
    const ofClasses = neg(sum(factors ? mul(all, factors) : all, 1));
    loss = add(mul(loss, 1 - labelSmoothing), mul(ofClasses, labelSmoothing / classes));
  }
  const count = own ? own.data.reduce((total, factor) => total + factor, 0) : kept.length;
  if (reduction === "mean") return div(sum(loss), count);
  const each = kept.length === labels.length ? loss : scatter(zeros([labels.length]), 0, new IntTensor(kept), loss);
  return reduce(reshape(each, shape), reduction);
}

/** Refuses what is no factor for each class. */
export function expectClassWeight(name: string, weight: Tensor, classes: number): void {
  expectTensor(`${name}: weight`, weight);
  expectShape(`${name}: weight`, weight.shape, [classes]);
}
