import {
  badArgument,
  expectAtLeast0,
  expectFlags,
  expectInteger,
  expectOneOf,
  expectOptions,
  expectShape,
} from "../checks.js";
import { DistilleryError } from "../errors.js";
import { IntTensor, type Labels, labelData } from "../tensor/int_tensor.js";
import { expectTensor, type Tensor, zeros } from "../tensor/tensor.js";
import { add, div, mul, rsub, sub } from "./binary.js";
import { gather, scatter } from "./indexing.js";
import { permute } from "./permute.js";
import { reshape } from "./reshape.js";
import { mean, sum } from "./sum.js";
import { abs, clamp, exp, logSigmoid, neg, xLogX } from "./unary.js";

/** How the values of a loss become one: not at all, their mean, or their sum. */
export type Reduction = "none" | "mean" | "sum";

const REDUCTIONS = ["none", "mean", "sum"] as const;

function reduce(loss: Tensor, reduction: Reduction): Tensor {
  if (reduction === "none") return loss;
  return reduction === "mean" ? mean(loss) : sum(loss);
}

function expectAlike(name: string, input: Tensor, target: Tensor): void {
  expectTensor(`${name}: input`, input);
  expectTensor(`${name}: target`, target);
  expectShape(`${name}: target`, target.shape, input.shape);
}

/** (input - target)², by default its mean. `torch.nn.functional.mse_loss`. */
export function mseLoss(input: Tensor, target: Tensor, options: { reduction?: Reduction } = {}): Tensor {
  expectAlike("mseLoss", input, target);
  expectOptions("mseLoss", options, ["reduction"]);
  const { reduction = "mean" } = options;
  expectOneOf("mseLoss: reduction", reduction, REDUCTIONS);
  const difference = sub(input, target);
  return reduce(mul(difference, difference), reduction);
}

/** |input - target|, by default its mean. `torch.nn.functional.l1_loss`. */
export function l1Loss(input: Tensor, target: Tensor, options: { reduction?: Reduction } = {}): Tensor {
  expectAlike("l1Loss", input, target);
  expectOptions("l1Loss", options, ["reduction"]);
  const { reduction = "mean" } = options;
  expectOneOf("l1Loss: reduction", reduction, REDUCTIONS);
  return reduce(abs(sub(input, target)), reduction);
}

/**
 * d² / (2 beta) for a difference d below beta, |d| - beta / 2 above, by default its mean.
 * `torch.nn.functional.smooth_l1_loss`.
 */
export function smoothL1Loss(
  input: Tensor,
  target: Tensor,
  options: { reduction?: Reduction; beta?: number } = {},
): Tensor {
  expectOptions("smoothL1Loss", options, ["reduction", "beta"]);
  const { reduction = "mean", beta = 1 } = options;
  expectOneOf("smoothL1Loss: reduction", reduction, REDUCTIONS);
  expectAlike("smoothL1Loss", input, target);
  expectAtLeast0("smoothL1Loss: beta", beta);
  if (beta === 0) return l1Loss(input, target, { reduction });
  const distance = abs(sub(input, target));
  // min(d, beta)² / (2 beta) + (d - min(d, beta)) is both branches at once.
  const near = clamp(distance, null, beta);
  return reduce(add(div(mul(near, near), 2 * beta), sub(distance, near)), reduction);
}

/**
 * The binary cross-entropy of sigmoid(input) with targets from 0 to 1, by default its mean: without overflow from the
 * logits. `torch.nn.functional.binary_cross_entropy_with_logits`.
 */
export function binaryCrossEntropyWithLogits(
  input: Tensor,
  target: Tensor,
  options: { reduction?: Reduction; weight?: Tensor; posWeight?: Tensor } = {},
): Tensor {
  expectOptions("binaryCrossEntropyWithLogits", options, ["reduction", "weight", "posWeight"]);
  const { reduction = "mean", weight, posWeight } = options;
  expectOneOf("binaryCrossEntropyWithLogits: reduction", reduction, REDUCTIONS);
  expectAlike("binaryCrossEntropyWithLogits", input, target);
  for (const [key, factor] of Object.entries({ weight, posWeight }))
    if (factor !== undefined) expectTensor(`binaryCrossEntropyWithLogits: ${key}`, factor);
  const logWeight = posWeight === undefined ? null : add(mul(sub(posWeight, 1), target), 1);
  const positive = logWeight === null ? logSigmoid(input) : mul(logWeight, logSigmoid(input));
  const loss = sub(mul(rsub(target, 1), input), positive);
  return reduce(weight === undefined ? loss : mul(loss, weight), reduction);
}

/**
 * target (log(target) - input), the input in logarithms, and with `logTarget` the target too: by default the mean over
 * all elements; "batchmean" divides by the rows only. `torch.nn.functional.kl_div`.
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

/**
 * Minus the log-probability of each label [rows, ...], input [rows, classes, ...] in logarithms; by default the mean over
 * the labels that are not `ignoreIndex`. `torch.nn.functional.nll_loss`.
 */
export function nllLoss(
  input: Tensor,
  target: Labels,
  options: { reduction?: Reduction; ignoreIndex?: number } = {},
): Tensor {
  expectOptions("nllLoss", options, ["reduction", "ignoreIndex"]);
  const { reduction = "mean", ignoreIndex = -100 } = options;
  expectOneOf("nllLoss: reduction", reduction, REDUCTIONS);
  expectTensor("nllLoss: input", input);
  if (input.shape.length < 2) throw badArgument("nllLoss: input", "a shape [rows, classes, ...]", input.shape);
  expectInteger("nllLoss: ignoreIndex", ignoreIndex, -(2 ** 31), 2 ** 31 - 1);
  const labels = labelData(target);
  const [rows, classes, ...inner] = input.shape;
  const shape = [rows, ...inner];
  expectShape("nllLoss: target", target instanceof IntTensor ? target.shape : [labels.length], shape);
  const last = inner.length === 0 ? input : permute(input, [0, ...inner.map((_, axis) => axis + 2), 1]);
  const bad = labels.findIndex((label) => label !== ignoreIndex && (label < 0 || label >= classes));
  if (bad >= 0) {
    const text = `nllLoss: target[${bad}]: expected a class from 0 to ${classes - 1}, got ${labels[bad]}`;
    throw new DistilleryError("LABEL_OUT_OF_RANGE", text);
  }
  const kept = Int32Array.from(labels.keys()).filter((row) => labels[row] !== ignoreIndex);
  const places = new IntTensor(kept.map((row) => row * classes + labels[row]));
  const picked = neg(gather(reshape(last, [input.size]), 0, places));
  if (reduction === "mean") return div(sum(picked), kept.length);
  const loss = kept.length === labels.length ? picked : scatter(zeros([labels.length]), 0, new IntTensor(kept), picked);
  return reduce(reshape(loss, shape), reduction);
}
