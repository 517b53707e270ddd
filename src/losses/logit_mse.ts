import { mseLoss } from "../ops/index.js";
import { defineEntry } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import type { DistillationLoss } from "./loss.js";

/**
 * The mean squared error between the logits of student and teacher, both [rows, classes], as a scalar: over rows and
 * classes, as `F.mse_loss` has it (Ba and Caruana, 2014; Kim et al., 2021). Distillation at a high temperature comes close
 * to it. Unlike that it moves if a constant is added to a row of logits, and it needs no labels. No gradient flows to the teacher.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH`.
 * @example
 * ```ts
 * const loss = logitMseLoss(student.forward(inputs), teacherLogits);
 * ```
 */
export function logitMseLoss(studentLogits: Tensor, teacherLogits: Tensor): Tensor {
  return mseLoss(studentLogits, teacherLogits.detach());
}

/** {@link logitMseLoss} as a loss of `distill`: `logit-mse` in expressions. */
export function logitMseDistillationLoss(): DistillationLoss {
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
