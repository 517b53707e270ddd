import * as v from "valibot";
import { optionsOf } from "../checks.js";
import { native } from "../native.js";
import { defineOp } from "../ops/define_op.js";
import { defineEntry, described, parseOptions } from "../registry/index.js";
import { allocate } from "../tensor/buffer_pool.js";
import type { Tensor } from "../tensor/tensor.js";
import { softLoss } from "./kd_loss.js";
import { expectFiniteOutput, expectLogits, ofLogits } from "./logits.js";
import type { DistillationLoss } from "./loss.js";
import { type Annealed, annealed, expectTemperature } from "./temperature.js";

/** The options of {@link logitStandardizedKdLoss}. */
export interface LogitStandardizedKdLossOptions {
  /** T > 0: both networks' standardised logits are divided by it. Default 2. */
  temperature?: number;
}

const DEFAULTS = { temperature: 2 } as const;
const OPTIONS = {
  temperature: described(v.optional(annealed(), DEFAULTS.temperature), "divides both networks' standardised logits"),
};
const EPSILON = 1e-7;

/**
 * Logit standardisation (Sun et al., CVPR 2024), a scalar: T² KL(softmax(Z(teacher) / T) ‖ softmax(Z(student) / T)),
 * averaged over the rows, where Z(x) = (x - mean(x)) / (std(x) + 1e-7) over a row's classes and std divides by classes
 * - 1. The student learns the teacher's ranking and its relative distances, and its logits may have their own scale.
 * Logits are [rows, classes] with at least 2 classes; no gradient flows to the teacher.
 *
 * The authors' code (`logit-standardization-KD`, `--kd-stand`) has the same formula, and adds the term with weight 9 to
 * 0.1 times the cross-entropy. With two classes only the order remains: each row becomes ±0.7071.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH`, `BAD_ARGUMENT`, `NON_FINITE`.
 * @example
 * ```ts
 * const loss = logitStandardizedKdLoss(student.forward(inputs), teacherLogits, { temperature: 2 });
 * ```
 */
export function logitStandardizedKdLoss(
  studentLogits: Tensor,
  teacherLogits: Tensor,
  options: LogitStandardizedKdLossOptions = {},
): Tensor {
  const name = "logitStandardizedKdLoss";
  const teacher = expectLogits(name, studentLogits, teacherLogits, 2);
  const { temperature } = optionsOf(name, DEFAULTS, options);
  expectTemperature("temperature", temperature);
  const [student, target] = [standardized([studentLogits], null), standardized([teacher], null)];
  expectFiniteOutput(name, student.detach().sum().add(target.sum()), { studentLogits, teacherLogits });
  return softLoss(student, target, temperature);
}

/** (x - mean) / (std + 1e-7) of each row, in double precision: with two classes the gradient is a small difference. */
const standardized = defineOp<null, null>({
  name: "standardize",
  forward([x]) {
    const data = allocate(x.size);
    native.standardizeForward(x.data, data, x.shape[0], x.shape[1], EPSILON);
    return { data, shape: x.shape, saved: null };
  },
  backward(grad, [into], { inputs: [x] }) {
    if (into) native.standardizeBackward(grad, x.data, into, x.shape[0], x.shape[1], EPSILON);
  },
});

/**
 * {@link logitStandardizedKdLoss} as a loss of `distill`: `logit-standardized-kd` in expressions.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for options that are unknown or out of range.
 * @example
 * ```ts
 * await distill({ teacher, student, data, loss: logitStandardizedKdDistillationLoss({ temperature: 2 }) });
 * ```
 */
export function logitStandardizedKdDistillationLoss(options: { temperature?: Annealed } = {}): DistillationLoss {
  const all = parseOptions("logitStandardizedKdDistillationLoss", OPTIONS, options);
  return ofLogits("logit-standardized-kd", ["classification"], all, logitStandardizedKdLoss);
}

/** `logit-standardized-kd` in expressions. */
export const logitStandardizedKdEntry = defineEntry({
  name: "logit-standardized-kd",
  help: "kd of logits with each row's mean and scale taken out (Sun et al., 2024)",
  tasks: ["classification"],
  options: OPTIONS,
  create: logitStandardizedKdDistillationLoss,
});
