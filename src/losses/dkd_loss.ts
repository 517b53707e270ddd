import * as v from "valibot";
import { expectAtLeast0, expectShape, expectSomeWeight, optionsOf, outOfRange } from "../checks.js";
import { cat, gather, logSoftmax, logsumexp } from "../ops/index.js";
import { defineEntry, described, nonNegative, parseOptions } from "../registry/index.js";
import { IntTensor, type Labels, labelData } from "../tensor/int_tensor.js";
import type { Tensor } from "../tensor/tensor.js";
import { divergence, expectFiniteOutput, expectLogits, ofLogits } from "./logits.js";
import { type DistillationLoss, type LossContext, labelsFor } from "./loss.js";
import { type Annealed, expectTemperature, temperatureOption } from "./temperature.js";

/** The options of {@link dkdLoss}. */
export interface DkdLossOptions {
  /** The weight of the label's class against all others. Default 1. */
  alpha?: number;
  /**
   * The weight of the distribution among the other classes. Default 8; the authors use 2 to 8, depending on the pair of
   * networks.
   */
  beta?: number;
  /** T > 0: both networks' logits are divided by it. Default 4. */
  temperature?: number;
}

const DEFAULTS = { alpha: 1, beta: 8, temperature: 4 } as const;
const OPTIONS = {
  alpha: described(v.optional(nonNegative(), DEFAULTS.alpha), "weight of the label's class against the others"),
  beta: described(v.optional(nonNegative(), DEFAULTS.beta), "weight of the distribution among the others"),
  temperature: temperatureOption(DEFAULTS.temperature),
};

/**
 * Decoupled knowledge distillation (Zhao et al., CVPR 2022), a scalar: T² (alpha TCKD + beta NCKD), averaged over the
 * rows. TCKD is KL([p_y, 1 - p_y] of the teacher ‖ that of the student) with p = softmax(logits / T) and y the label;
 * NCKD is KL(teacher ‖ student) of the softmax over the classes other than y. Logits are [rows, classes], labels
 * [rows]; no gradient flows to the teacher. With two classes NCKD is 0.
 *
 * The authors' code (`mdistiller`, DKD.py) adds the cross-entropy and multiplies this loss by min(epoch / 20, 1): here
 * `cross-entropy + dkd(warmup=20)`. It hides y by subtracting 1000 from logits / T, which is not enough for logits of
 * that size, and takes the logarithm of a sum of probabilities, whose gradient is NaN if the sum is 0: here both are
 * exact.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH`, `LABEL_OUT_OF_RANGE`, `BAD_ARGUMENT`, `NON_FINITE`.
 * @example
 * ```ts
 * const loss = dkdLoss(student.forward(inputs), teacherLogits, labels, { alpha: 1, beta: 8, temperature: 4 });
 * ```
 */
export function dkdLoss(
  studentLogits: Tensor,
  teacherLogits: Tensor,
  labels: Labels,
  options: DkdLossOptions = {},
): Tensor {
  const name = "dkdLoss";
  const teacherConstants = expectLogits(name, studentLogits, teacherLogits, 2);
  const { alpha, beta, temperature } = optionsOf(name, DEFAULTS, options);
  expectAtLeast0("alpha", alpha);
  expectAtLeast0("beta", beta);
  expectTemperature("temperature", temperature);
  const [rows, classes] = studentLogits.shape;
  const places = placesOf(labelData(labels), rows, classes);
  const student = decoupled(studentLogits.div(temperature), places);
  const teacher = decoupled(teacherConstants.div(temperature), places);
  const scale = temperature ** 2 / rows;
  const target = divergence(teacher.target, student.target).mul(alpha * scale);
  const others = divergence(teacher.others, student.others).mul(beta * scale);
  return expectFiniteOutput(name, target.add(others), { studentLogits, teacherLogits });
}

/**
 * Log-probabilities: of the label's class and of all others together [rows, 2], and among the others [rows, classes -
 * 1].
 */
function decoupled(logits: Tensor, { own, rest }: Places): { target: Tensor; others: Tensor } {
  const others = gather(logits, 1, rest);
  const pair = cat([gather(logits, 1, own), logsumexp(others, 1, true)], 1);
  return { target: logSoftmax(pair), others: logSoftmax(others) };
}

interface Places {
  /** [rows, 1] */
  own: IntTensor;
  /** [rows, classes - 1] */
  rest: IntTensor;
}

function placesOf(labels: Int32Array, rows: number, classes: number): Places {
  expectShape("dkdLoss: labels", [labels.length], [rows]);
  const rest = new Int32Array(rows * (classes - 1));
  let at = 0;
  for (let i = 0; i < rows; i++) {
    const label = labels[i];
    if (label < 0 || label >= classes) throw outOfRange(`dkdLoss: labels[${i}]`, classes, label);
    for (let j = 0; j < classes; j++) if (j !== label) rest[at++] = j;
  }
  return { own: new IntTensor(labels, [rows, 1]), rest: new IntTensor(rest, [rows, classes - 1]) };
}

/** The options of {@link dkdDistillationLoss}. */
export interface DkdDistillationLossOptions extends Omit<DkdLossOptions, "temperature"> {
  temperature?: Annealed;
}

/**
 * {@link dkdLoss} as a loss of `distill`: `dkd` in expressions.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for options that are unknown or out of range.
 * @example
 * ```ts
 * const loss = weightedSum([[1, crossEntropyDistillationLoss()], [1, dkdDistillationLoss({ beta: 4 })]]);
 * await distill({ teacher, student, data, loss });
 * ```
 */
export function dkdDistillationLoss(options: DkdDistillationLossOptions = {}): DistillationLoss {
  const all = parseOptions("dkdDistillationLoss", OPTIONS, options);
  expectSomeWeight({ alpha: all.alpha, beta: all.beta });
  return ofLogits("dkd", ["classification"], all, (student, teacher, now, batch) =>
    dkdLoss(student, teacher, labelsFor("dkd", batch), now),
  );
}

/** `dkd` in expressions. */
export const dkdEntry = defineEntry({
  name: "dkd",
  help: "kd of the label's class and of the others apart (Zhao et al., 2022)",
  tasks: ["classification"],
  options: OPTIONS,
  create(options, context: LossContext) {
    if (context.unlabelled === true) context.labels("dkd");
    return dkdDistillationLoss(options);
  },
});
