import { multiLabelKdDistillationLoss } from "../losses/multi_label_kd_loss.js";
import { bceDistillationLoss } from "../losses/target_losses.js";
import { mean } from "../sums.js";
import type { Tensor } from "../tensor/tensor.js";
import { type Collected, collecting, columnOf, constantTargets } from "./collecting.js";
import type { LabelReport, MultiLabelEvaluation } from "./evaluation.js";
import { labelPredictions } from "./prediction.js";
import type { Task } from "./task.js";
import { withTeacher } from "./with_teacher.js";

/** Several labels at once: binary cross-entropy of sigmoids, their divergence from a teacher's. */
export const multiLabel: Task<MultiLabelEvaluation> = {
  name: "multi-label",
  help: "several labels at once, each 0 or 1",
  reads: ["temperature", "alpha"],
  hardLoss: () => bceDistillationLoss(),
  distillationLoss: ({ alpha, temperature }) =>
    withTeacher(alpha, [bceDistillationLoss()], multiLabelKdDistillationLoss({ temperature })),
  width: (classes) => classes,
  evaluator: () => collecting(evaluation),
  isValid: (outputs) => outputs.every((x) => x < Number.POSITIVE_INFINITY),
  predictions: (outputs, { classNames }) => labelPredictions(outputs, classNames),
  keep: ({ data }) => data,
  // In any order, average precision comes to the fraction of samples that have the label.
  chance: ({ targets }) => mean((targets as Tensor).data),
  undefinedMetrics: (data) =>
    constantTargets(data).flatMap(({ name, value }) => {
      if (value !== 0) return [];
      const text = `${name}: none of ${data.length} samples has this label, of which average precision is not defined`;
      return [`${text}: it counts as 0`];
    }),
};

function evaluation({ samples, width, outputs, targets, teacher }: Collected): MultiLabelEvaluation {
  const reports = (scores: Float32Array) =>
    Array.from({ length: width }, (_, c) => reportOf(columnOf(scores, width, c), columnOf(targets, width, c)));
  const perTarget = reports(outputs);
  const meanOf = (all: readonly LabelReport[], name: string) => mean(all.map((one) => one[name]));
  return {
    averagePrecision: meanOf(perTarget, "averagePrecision"),
    f1: meanOf(perTarget, "f1"),
    samples,
    // max(x, 0) - x y + log(1 + exp(-|x|)), which does not overflow.
    loss: mean(
      Float64Array.from(outputs, (x, i) => Math.max(x, 0) - x * targets[i] + Math.log1p(Math.exp(-Math.abs(x)))),
    ),
    perTarget,
    ...(teacher && {
      teacherAveragePrecision: meanOf(reports(teacher), "averagePrecision"),
      agreement: mean(Float64Array.from(outputs, (x, i) => Number(x > 0 === teacher[i] > 0))),
    }),
  };
}

function reportOf(scores: Float64Array, truth: Float64Array): LabelReport {
  let [right, predicted, support] = [0, 0, 0];
  for (let i = 0; i < scores.length; i++) {
    predicted += Number(scores[i] > 0);
    support += truth[i];
    right += Number(scores[i] > 0 && truth[i] === 1);
  }
  const ratio = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);
  const [precision, recall] = [ratio(right, predicted), ratio(right, support)];
  const f1 = ratio(2 * right, predicted + support);
  return { averagePrecision: averagePrecision(scores, truth, support), f1, precision, recall, support };
}

/**
 * The sum over thresholds of precision times the recall that it adds: samples of one score share a threshold.
 * `sklearn.metrics.average_precision_score`.
 */
function averagePrecision(scores: Float64Array, truth: Float64Array, support: number): number {
  if (support === 0) return 0;
  const order = [...scores.keys()].sort((a, b) => scores[b] - scores[a]);
  let [right, before, sum] = [0, 0, 0];
  for (const [rank, i] of order.entries()) {
    right += truth[i];
    if (scores[order[rank + 1]] === scores[i]) continue;
    sum += ((right - before) / support) * (right / (rank + 1));
    before = right;
  }
  return sum;
}
