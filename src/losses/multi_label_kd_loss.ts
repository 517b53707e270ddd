import { optionsOf } from "../checks.js";
import { logSigmoid } from "../ops/index.js";
import { defineEntry, parseOptions } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { divergence, expectFiniteOutput, expectLogits, ofLogits } from "./logits.js";
import type { DistillationLoss } from "./loss.js";
import { type Annealed, expectTemperature, temperatureOption } from "./temperature.js";

/** The options of {@link multiLabelKdLoss}. */
export interface MultiLabelKdLossOptions {
  /** T > 0: both networks' logits are divided by it. Default 1. */
  temperature?: number;
}

const DEFAULTS = { temperature: 1 } as const;
const OPTIONS = {
  temperature: temperatureOption(DEFAULTS.temperature),
};

/**
 * Distillation of several labels at once (Yang et al., ICCV 2023, their label-wise term), a scalar: T²
 * KL(Bernoulli(sigmoid(teacher / T)) ‖ Bernoulli(sigmoid(student / T))), summed over the labels and averaged over the
 * rows, as {@link kdLoss} sums over its classes. Logits are [rows, labels], one decision each; no gradient flows to the
 * teacher.
 *
 * Implementations differ in how they average: `nn.KLDivLoss()`, the mean over all elements, gives 1 / (2 labels) of
 * this. Several take the logarithm of a probability plus 1e-8; here it is the logarithm of the sigmoid, which needs no
 * such term.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH`, `BAD_ARGUMENT`, `NON_FINITE`.
 * @example
 * ```ts
 * const loss = multiLabelKdLoss(student.forward(inputs), teacherLogits, { temperature: 2 });
 * ```
 */
export function multiLabelKdLoss(
  studentLogits: Tensor,
  teacherLogits: Tensor,
  options: MultiLabelKdLossOptions = {},
): Tensor {
  const name = "multiLabelKdLoss";
  const teacher = expectLogits(name, studentLogits, teacherLogits);
  const { temperature } = optionsOf(name, DEFAULTS, options);
  expectTemperature("temperature", temperature);
  const [z, s] = [teacher.div(temperature), studentLogits.div(temperature)];
  const sum = divergence(logSigmoid(z), logSigmoid(s)).add(divergence(logSigmoid(z.neg()), logSigmoid(s.neg())));
  return expectFiniteOutput(name, sum.mul(temperature ** 2 / studentLogits.shape[0]), { studentLogits, teacherLogits });
}

/**
 * {@link multiLabelKdLoss} as a loss of `distill`: `multi-label-kd` in expressions.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for options that are unknown or out of range.
 * @example
 * ```ts
 * await distill({ teacher, student, data, loss: multiLabelKdDistillationLoss({ temperature: 2 }) });
 * ```
 */
export function multiLabelKdDistillationLoss(options: { temperature?: Annealed } = {}): DistillationLoss {
  const all = parseOptions("multiLabelKdDistillationLoss", OPTIONS, options);
  return ofLogits("multi-label-kd", ["classification", "multi-label"], all, multiLabelKdLoss);
}

/** `multi-label-kd` in expressions. */
export const multiLabelKdEntry = defineEntry({
  name: "multi-label-kd",
  help: "divergence from the teacher's probability of each label, by sigmoid (Yang et al., 2023)",
  tasks: ["classification", "multi-label"],
  options: OPTIONS,
  create: multiLabelKdDistillationLoss,
});
