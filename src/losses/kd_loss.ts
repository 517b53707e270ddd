import { expectNumber, expectShape, withDefaults } from "../checks.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import { type Labels, labelData } from "../tensor/int_tensor.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { CROSS_ENTROPY_DEFAULTS, expectLabelSmoothing } from "./cross_entropy.js";
import { lossOutput } from "./loss_output.js";

/** How soft the targets are, and how much they weigh against the true labels. */
export interface KdLossOptions {
  /** T > 0: both networks' logits are divided by it. Default 3.5. */
  temperature?: number;
  /** The weight of the soft targets, from 0 to 1. Default 0.6. */
  alpha?: number;
  /** From 0 to 1, as in {@link crossEntropy}: of the true labels' part only, the teacher's answers are soft. Default 0. */
  labelSmoothing?: number;
}

/** The defaults of the script. */
export const KD_DEFAULTS = { temperature: 3.5, alpha: 0.6, ...CROSS_ENTROPY_DEFAULTS } as const;

/**
 * The distillation loss of Hinton, Vinyals and Dean (2015), averaged over the rows, as a scalar:
 * alpha T² KL(softmax(teacher / T) ‖ softmax(student / T)) + (1 - alpha) crossEntropy(student, labels, { labelSmoothing }).
 *
 * Logits are [rows, classes], labels [rows]. In PyTorch: `KLDivLoss(reduction="batchmean")` times T² and
 * `CrossEntropyLoss(label_smoothing=)`. The soft targets are constants: no gradient flows to the teacher.
 *
 * Throws `SHAPE_MISMATCH`, `LABEL_OUT_OF_RANGE`, `BAD_ARGUMENT`, and `NON_FINITE` where the loss is NaN or infinite.
 *
 * @example
 * ```ts
 * const loss = kdLoss(student.forward(inputs), teacherLogits, labels, { temperature: 3.5, alpha: 0.6 });
 * loss.backward();
 * ```
 */
export function kdLoss(
  studentLogits: Tensor,
  teacherLogits: Tensor,
  labels: Labels,
  options: KdLossOptions = {},
): Tensor {
  return kdLossParts(studentLogits, teacherLogits, labels, options).loss;
}

/** {@link kdLoss} with its two parts as numbers, before they are weighted. */
export interface KdLossParts {
  /** alpha soft + (1 - alpha) hard, a scalar. */
  loss: Tensor;
  /** T² KL(softmax(teacher / T) ‖ softmax(student / T)). */
  soft: number;
  /** The cross-entropy with the labels, smoothed where asked. */
  hard: number;
}

/** {@link kdLoss}, and what its soft and its hard targets contribute: for logs. */
export function kdLossParts(
  studentLogits: Tensor,
  teacherLogits: Tensor,
  labels: Labels,
  options: KdLossOptions = {},
): KdLossParts {
  expectTensor("studentLogits", studentLogits);
  expectTensor("teacherLogits", teacherLogits);
  expectShape("kdLoss: studentLogits", studentLogits.shape, [-1, -1]);
  expectShape("kdLoss: teacherLogits", teacherLogits.shape, studentLogits.shape);
  const { temperature, alpha, labelSmoothing } = withDefaults(KD_DEFAULTS, options);
  expectNumber("temperature", temperature, (t) => t > 0, "a number above 0");
  expectNumber("alpha", alpha, (a) => a >= 0 && a <= 1, "a number from 0 to 1");
  expectLabelSmoothing(labelSmoothing);
  const [rows, classes] = studentLogits.shape as [number, number];
  const grad = allocate(studentLogits.size);
  const [total, soft, hard] = native.kdLoss({
    studentLogits: studentLogits.data,
    teacherLogits: teacherLogits.data,
    labels: labelData(labels),
    grad,
    rows,
    classes,
    temperature,
    alpha,
    labelSmoothing,
  });
  return { loss: lossOutput(total, studentLogits, grad), soft, hard };
}
