import { expectOptions } from "../checks.js";
import { mseLoss } from "../ops/index.js";
import { defineEntry } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { expectFiniteOutput, expectLogits } from "./logits.js";
import type { DistillationLoss } from "./loss.js";
import type { NoOptions } from "./target_losses.js";

/**
 * The mean squared error between the logits of student and teacher, both [rows, classes], as a scalar: over rows and
 * classes, like `F.mse_loss` (Ba and Caruana, 2014; Kim et al., 2021). Distillation at a high temperature approaches
 * it. Unlike that, it changes if a constant is added to a row of logits, and it needs no labels. No gradient flows to
 * the teacher. Other implementations sum over the classes (`big_vision`), or divide by the temperature (TextBrewer).
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH`, `NON_FINITE`.
 * @example
 * ```ts
 * const loss = logitMseLoss(student.forward(inputs), teacherLogits);
 * ```
 */
export function logitMseLoss(studentLogits: Tensor, teacherLogits: Tensor): Tensor {
  const name = "logitMseLoss";
  const loss = mseLoss(studentLogits, expectLogits(name, studentLogits, teacherLogits));
  return expectFiniteOutput(name, loss, { studentLogits, teacherLogits });
}

/**
 * {@link logitMseLoss} as a loss of `distill`: `logit-mse` in expressions.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for any option.
 * @example
 * ```ts
 * await distill({ teacher, student, data, loss: logitMseDistillationLoss() });
 * ```
 */
export function logitMseDistillationLoss(options: NoOptions = {}): DistillationLoss {
  expectOptions("logitMseDistillationLoss", options, []);
  const name = "logit-mse";
  return {
    name,
    needsTeacher: true,
    compute: ({ student, teacher }) => ({ loss: logitMseLoss(student.logits, teacher.logits), metrics: {} }),
    config: () => ({ name }),
  };
}

/** `logit-mse` in expressions. */
export const logitMseEntry = defineEntry({
  name: "logit-mse",
  help: "mean squared error between the logits (Ba and Caruana, 2014)",
  options: {},
  create: () => logitMseDistillationLoss(),
});
