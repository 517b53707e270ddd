import { badArgument, expectFraction, expectShape, optionsOf } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { IntTensor, type Labels, labelData } from "../tensor/int_tensor.js";
import { isSameShape } from "../tensor/shape.js";
import { expectTensor, Tensor } from "../tensor/tensor.js";
import { add, mul } from "./binary.js";
import { detach } from "./detach.js";
import { lossOutput } from "./loss_output.js";
import { expectClassWeight, expectReduction, type NllLossOptions, reduce, smoothedNllLoss } from "./losses.js";
import { permute } from "./permute.js";
import { reshape } from "./reshape.js";
import { logSoftmax } from "./softmax.js";
import { sum } from "./sum.js";
import { neg } from "./unary.js";

/** The options of {@link crossEntropy}. */
export interface CrossEntropyOptions extends NllLossOptions {
  /** e, from 0 to 1: a label's class is expected with 1 - e + e / classes, every other with e / classes. Default 0. */
  labelSmoothing?: number;
  /** Rows with this label add nothing to the loss. Default: none; PyTorch's is -100. */
  ignoreIndex?: number;
}

export const CROSS_ENTROPY_DEFAULTS = { labelSmoothing: 0 } as const;

/**
 * The cross-entropy of logits [rows, classes, ...] with true labels [rows, ...], by default their mean. With
 * `labelSmoothing` e (Szegedy et al., 2016) it is (1 - e) times that, and e times the mean of -log p over the classes.
 * `weight`, `ignoreIndex` and `reduction` are those of `F.nllLoss`. A Tensor of the logits' shape gives each class
 * its probability instead: of mixed samples, of a teacher. `weight` then divides no mean. PyTorch's `cross_entropy`.
 *
 * @throws DistilleryError `SHAPE_MISMATCH`, `LABEL_OUT_OF_RANGE`, `BAD_ARGUMENT`, and, of labels without those three
 * options, `NON_FINITE` if the loss is NaN or infinite.
 *
 * @example
 * ```ts
 * const loss = crossEntropy(student.forward(inputs), labels);
 * loss.backward();
 * const smoothed = crossEntropy(student.forward(inputs), labels, { labelSmoothing: 0.1 });
 * const soft = crossEntropy(student.forward(inputs), teacherLogits.softmax(1));
 * ```
 */
export function crossEntropy(logits: Tensor, labels: Labels | Tensor, options: CrossEntropyOptions = {}): Tensor {
  expectTensor("crossEntropy: logits", logits);
  if (logits.shape.length < 2) {
    const text = `crossEntropy: logits: expected shape [rows, classes, ...], got [${logits.shape.join(", ")}]`;
    throw new DistilleryError("SHAPE_MISMATCH", text);
  }
  const more = ["weight", "ignoreIndex", "reduction"] as const;
  const { labelSmoothing } = optionsOf("crossEntropy", CROSS_ENTROPY_DEFAULTS, options, more);
  expectLabelSmoothing(labelSmoothing);
  const { weight, ignoreIndex, reduction = "mean" } = options;
  if (labels instanceof Tensor) return softCrossEntropy(logits, labels, options, labelSmoothing);
  if (weight !== undefined || ignoreIndex !== undefined || reduction !== "mean") {
    return smoothedNllLoss("crossEntropy", "labels", logSoftmax(logits, 1), labels, options, labelSmoothing);
  }
  if (logits.shape.length > 2) return crossEntropy(...asRows(logits, labels), options);
  const [rows, classes] = logits.shape;
  if (labels instanceof IntTensor && labels.shape.length !== 1) {
    expectShape("crossEntropy: labels", labels.shape, [rows]);
  }
  return lossOutput(logits, (data, grad) =>
    native.crossEntropy(data, labelData(labels), grad, rows, classes, labelSmoothing),
  );
}

/** The cross-entropy with probabilities of classes. */
function softCrossEntropy(
  logits: Tensor,
  given: Tensor,
  { weight, ignoreIndex, reduction = "mean" }: NllLossOptions,
  labelSmoothing: number,
): Tensor {
  expectReduction("crossEntropy", reduction);
  if (ignoreIndex !== undefined)
    throw badArgument("crossEntropy: ignoreIndex", "none beside probabilities", ignoreIndex);
  if (!isSameShape(given.shape, logits.shape)) {
    const [expected, got] = [logits, given].map(({ shape }) => `of shape [${shape.join(", ")}]`);
    const text = `expected an IntTensor, an Int32Array, or probabilities ${expected}, got a Tensor ${got}`;
    throw new DistilleryError("BAD_DTYPE", `crossEntropy: labels: ${text}`);
  }
  const [, classes, ...inner] = logits.shape;
  const target = labelSmoothing === 0 ? given : add(mul(given, 1 - labelSmoothing), labelSmoothing / classes);
  let loss = mul(logSoftmax(logits, 1), target);
  if (weight !== undefined) {
    expectClassWeight("crossEntropy", weight, classes);
    loss = mul(loss, reshape(detach(weight), [classes, ...inner.map(() => 1)]));
  }
  return reduce(neg(sum(loss, 1)), reduction);
}

/** Logits [rows, classes, ...] and labels [rows, ...] with a row for each label. */
function asRows(logits: Tensor, labels: Labels): [Tensor, Int32Array] {
  const [rows, classes, ...inner] = logits.shape;
  const data = labelData(labels);
  expectShape("crossEntropy: labels", labels instanceof IntTensor ? labels.shape : [data.length], [rows, ...inner]);
  const last = permute(logits, [0, ...inner.map((_, axis) => axis + 2), 1]);
  return [reshape(last, [data.length, classes]), data];
}

/** Refuses a label smoothing that is no number from 0 to 1. */
export function expectLabelSmoothing(value: unknown): void {
  expectFraction("labelSmoothing", value);
}
