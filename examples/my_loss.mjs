/**
 * A loss for `--loss "./my_loss.mjs(weight=0.5)"`: mean squared error of the logits, beside the labels' cross-entropy.
 */
import { crossEntropy, F } from "distillery";

export default function myLoss({ weight = 0.9 }) {
  return {
    name: "my-loss",
    needsTeacher: true,
    config: () => ({ name: "my-loss", weight }),
    compute({ student, teacher, labels }) {
      const logitError = F.mseLoss(student.logits, teacher.logits);
      const labelLoss = crossEntropy(student.logits, labels);
      const loss = logitError.mul(weight).add(labelLoss.mul(1 - weight));
      return { loss, metrics: { logitError: logitError.item(), labelLoss: labelLoss.item() } };
    },
  };
}
