import * as v from "valibot";
import { argumentError, expectFraction, expectOptions, optionsOf } from "../checks.js";
import { NO_LABEL } from "../data/dataset.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { CROSS_ENTROPY_DEFAULTS, expectLabelSmoothing } from "../ops/cross_entropy.js";
import { lossOutput } from "../ops/loss_output.js";
import { defineEntry, described, fraction } from "../registry/index.js";
import { type Labels, labelData } from "../tensor/int_tensor.js";
import type { Tensor } from "../tensor/tensor.js";
import { labelledCrossEntropy } from "./cross_entropy.js";
import { expectLogits, notFinite, ofLogits } from "./logits.js";
import { type DistillationLoss, type LossBatch, type LossContext, labelledRows, someLabelsFor } from "./loss.js";
import { type Annealed, expectAnnealed, expectTemperature, inEpoch, temperatureOption } from "./temperature.js";

/** The temperature of the soft targets, and their weight against the true labels. */
export interface KdLossOptions {
  /** T > 0: both networks' logits are divided by it. Default 3.5. */
  temperature?: number;
  /**
   * The weight of the soft targets, from 0 to 1; with 1 the labels are not read. Default 0.6, the reference script's.
   */
  alpha?: number;
  /**
   * From 0 to 1, as in {@link crossEntropy}, for the true labels only: the teacher's targets are already soft. Default
   * 0.
   */
  labelSmoothing?: number;
}

/** What is wrong with an option of the soft targets if they have no weight. */
export const NO_SOFT_TARGETS = "with alpha 0 the loss has no soft targets: leave it out";

/** The defaults of the reference script. */
export const KD_DEFAULTS = { temperature: 3.5, alpha: 0.6, ...CROSS_ENTROPY_DEFAULTS } as const;

/**
 * The distillation loss of Hinton, Vinyals and Dean (2015), averaged over the rows, as a scalar: alpha T²
 * KL(softmax(teacher / T) ‖ softmax(student / T)) + (1 - alpha) crossEntropy(student, labels, { labelSmoothing }).
 *
 * The default `alpha` is 0.6. With an alpha of 1 it has only the soft targets, like `kd` in an expression and {@link
 * kdDistillationLoss} without an alpha, and labels are not read: they may be null, or -1 for a row without one.
 *
 * Logits are [rows, classes], labels [rows]. In PyTorch: `KLDivLoss(reduction="batchmean")` times T² and
 * `CrossEntropyLoss(label_smoothing=)`. The soft targets are constants: no gradient flows to the teacher.
 *
 * @throws DistilleryError `SHAPE_MISMATCH`, `LABEL_OUT_OF_RANGE`, `BAD_ARGUMENT`, and `NON_FINITE` if the loss is NaN
 * or infinite.
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
  labels: Labels | null,
  options: KdLossOptions = {},
): Tensor {
  return kdLossParts(studentLogits, teacherLogits, labels, options).loss;
}

/** The result of {@link kdLossParts}: {@link kdLoss} with its two parts as numbers, before they are weighted. */
export interface KdLossParts {
  /** alpha soft + (1 - alpha) hard, a scalar. */
  loss: Tensor;
  /** T² KL(softmax(teacher / T) ‖ softmax(student / T)). */
  soft: number;
  /** The cross-entropy with the labels, with label smoothing if requested; 0 without labels. */
  hard: number;
}

/** {@link kdLoss} with the values of its soft and its hard part, for logs. */
export function kdLossParts(
  studentLogits: Tensor,
  teacherLogits: Tensor,
  labels: Labels | null,
  options: KdLossOptions = {},
): KdLossParts {
  const teacher = expectLogits("kdLoss", studentLogits, teacherLogits);
  const { temperature, alpha, labelSmoothing } = optionsOf("kdLoss", KD_DEFAULTS, options);
  expectTemperature("temperature", temperature);
  expectFraction("alpha", alpha);
  expectLabelSmoothing(labelSmoothing);
  const [rows, classes] = studentLogits.shape;
  const given = alpha === 1 && labels === null ? new Int32Array(rows) : labelData(labels as Labels);
  const hasGaps = alpha === 1 && given.includes(NO_LABEL);
  // The kernel also checks labels of weight 0.
  const classOf = hasGaps ? given.map((label) => (label === NO_LABEL ? 0 : label)) : given;
  let [soft, hard] = [0, 0];
  const loss = lossOutput(studentLogits, (student, grad) => {
    try {
      const { data } = teacher;
      const parts = native.kdLoss(student, data, classOf, grad, rows, classes, temperature, alpha, labelSmoothing);
      [soft, hard] = parts.slice(1);
      return parts[0];
    } catch (error) {
      const isNotFinite = error instanceof DistilleryError && error.code === "NON_FINITE";
      throw (isNotFinite && notFinite("kdLoss", { studentLogits, teacherLogits })) || error;
    }
  });
  if (labels === null) hard = 0;
  else if (hasGaps) hard = labelledCrossEntropy(studentLogits.detach(), labels, labelSmoothing).item();
  return { loss, soft, hard };
}

/** The soft part alone. */
export function softLoss(student: Tensor, teacher: Tensor, temperature: number): Tensor {
  return kdLoss(student, teacher, null, { temperature, alpha: 1 });
}

/** The options of {@link kdDistillationLoss}. */
export interface KdDistillationLossOptions {
  /** T > 0, constant or changing linearly from the first epoch to the last. Default 3.5. */
  temperature?: Annealed;
  /**
   * The weight of the soft targets, from 0 to 1; the rest is the weight of the labels. Default: only the soft targets,
   * without labels.
   */
  alpha?: number | undefined;
  /** As in {@link kdLoss}. Default 0. */
  labelSmoothing?: number;
}

/**
 * The distillation loss of Hinton, Vinyals and Dean (2015) as a loss of `distill`: `kd` in expressions.
 *
 * Without `alpha` it is only the soft term, T² KL(softmax(teacher / T) ‖ softmax(student / T)), and needs no labels.
 * With `alpha` it is {@link kdLoss} in one fused kernel: it has the value of `(1 - alpha)*cross-entropy +
 * alpha*kd(temperature=T)`, and logs both parts, `soft` and `hard`.
 *
 * @example
 * ```ts
 * weightedSum([[0.1, crossEntropyDistillationLoss()], [0.9, kdDistillationLoss({ temperature: 4 })]]);
 * ```
 */
export function kdDistillationLoss(options: KdDistillationLossOptions = {}): DistillationLoss {
  expectOptions("kdDistillationLoss", options, Object.keys(KD_DEFAULTS));
  const { temperature = KD_DEFAULTS.temperature, alpha, labelSmoothing = 0 } = options;
  expectAnnealed("temperature", temperature);
  if (alpha !== undefined) expectFraction("alpha", alpha);
  if (alpha === 0 && temperature !== KD_DEFAULTS.temperature) throw argumentError("temperature", NO_SOFT_TARGETS);
  expectLabelSmoothing(labelSmoothing);
  const name = "kd";
  const tasks = ["classification"] as const;
  if (alpha === undefined) {
    return ofLogits(name, tasks, { temperature }, (student, teacher, now) =>
      softLoss(student, teacher, now.temperature),
    );
  }
  /** The labels' part is the mean over labelled rows only. */
  const partlyLabelled = (batch: LossBatch, labels: Labels) => {
    const { student, teacher } = batch;
    const soft = softLoss(student.logits, teacher.logits, inEpoch(temperature, batch));
    const hard = labelledCrossEntropy(student.logits, labels, labelSmoothing);
    return { loss: soft.mul(alpha).add(hard.mul(1 - alpha)), metrics: { soft: soft.item(), hard: hard.item() } };
  };
  return {
    name,
    needsTeacher: true,
    tasks,
    compute(batch) {
      const labels = alpha === 1 ? batch.labels : someLabelsFor(name, batch);
      if (alpha < 1 && labels !== null && labelledRows(labels) !== null) return partlyLabelled(batch, labels);
      const options = { temperature: inEpoch(temperature, batch), alpha, labelSmoothing };
      const { loss, soft, hard } = kdLossParts(batch.student.logits, batch.teacher.logits, labels, options);
      return { loss, metrics: { soft, hard } };
    },
    config: () => ({ name, temperature, alpha, labelSmoothing }),
  };
}

/** `kd` in expressions. */
export const kdEntry = defineEntry({
  name: "kd",
  help: "divergence from the teacher's softened probabilities (Hinton et al., 2015)",
  tasks: ["classification"],
  options: {
    temperature: temperatureOption(KD_DEFAULTS.temperature),
    alpha: described(
      v.optional(fraction()),
      "weight of the soft targets, the labels have the rest (default: soft targets alone)",
    ),
  },
  create: ({ temperature, alpha }, context: LossContext): DistillationLoss =>
    kdDistillationLoss({ temperature, alpha, labelSmoothing: alpha === undefined ? 0 : context.labelSmoothing }),
});
