import type { ValueLayout } from "../data/dataset.js";
import { inUnits } from "../data/targets.js";
import { logitMseDistillationLoss } from "../losses/logit_mse.js";
import { mseDistillationLoss } from "../losses/target_losses.js";
import { mean } from "../sums.js";
import { type Collected, collecting, constantTargets } from "./collecting.js";
import type { RegressionEvaluation, TargetReport } from "./evaluation.js";
import { rowsOf } from "./prediction.js";
import type { Task } from "./task.js";
import { withTeacher } from "./with_teacher.js";

/** Numbers: mean squared error with the targets, and with what a teacher says of them. */
export const regression: Task<RegressionEvaluation> = {
  name: "regression",
  help: "one number or several",
  reads: ["alpha"],
  hardLoss: () => mseDistillationLoss(),
  distillationLoss: ({ alpha }) => withTeacher(alpha, [mseDistillationLoss()], logitMseDistillationLoss()),
  width: (classes) => classes,
  evaluator: ({ targetScale }) => collecting((all) => evaluation(all, targetScale)),
  isValid: (outputs) => outputs.every(Number.isFinite),
  predictions: (outputs, { targets }) =>
    rowsOf(outputs).map((row) => ({ values: Array.from(inUnits(Float64Array.from(row), targets)) })),
  keep: ({ data }) => data,
  // R2 of the mean.
  chance: () => 0,
  undefinedMetrics: (data) =>
    constantTargets(data).map(({ name }) => {
      const text = `${name} is the same in all ${data.length} samples, of which R2 is not defined`;
      return `${text}: it counts as 0, without any error as 1`;
    }),
};

function evaluation(
  { samples, width, outputs, targets, teacher }: Collected,
  scale: ValueLayout | undefined,
): RegressionEvaluation {
  const [predicted, truth] = [outputs, targets].map((values) => inUnits(Float64Array.from(values), scale));
  const said = teacher && inUnits(Float64Array.from(teacher), scale);
  const all = reports(predicted, truth, width);
  return {
    ...meanOf(all),
    samples,
    loss: mean(outputs.map((x, i) => (x - targets[i]) ** 2)),
    perTarget: all,
    ...(said && {
      teacherR2: meanOf(reports(said, truth, width)).r2,
      agreement: meanOf(reports(predicted, said, width)).r2,
    }),
  };
}

function reports(predicted: Float64Array, truth: Float64Array, width: number): TargetReport[] {
  return Array.from({ length: width }, (_, c) => {
    const own = (values: Float64Array) => values.filter((_, i) => i % width === c);
    return report(own(predicted), own(truth));
  });
}

function report(predicted: Float64Array, truth: Float64Array): TargetReport {
  const middle = mean(truth);
  const squares = mean(predicted.map((x, i) => (x - truth[i]) ** 2));
  const variance = mean(truth.map((x) => (x - middle) ** 2));
  const isConstant = truth.every((x) => x === truth[0]);
  const r2 = isConstant ? Number(squares === 0) : 1 - squares / variance;
  return { r2, rmse: Math.sqrt(squares), mae: mean(predicted.map((x, i) => Math.abs(x - truth[i]))) };
}

function meanOf(all: readonly TargetReport[]): TargetReport {
  const of = (name: keyof TargetReport) => mean(all.map((one) => one[name]));
  return { r2: of("r2"), rmse: of("rmse"), mae: of("mae") };
}
