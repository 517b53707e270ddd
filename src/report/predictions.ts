import { expectDataset } from "../data/dataset.js";
import type { Dataset } from "../data/index.js";
import { expectModule } from "../nn/expect_module.js";
import type { Module } from "../nn/module.js";
import { evaluateOutputs } from "../tasks/index.js";
import { type EvaluatedLogits, logitsOf } from "../train/index.js";
import { mistakesOf } from "./mistakes.js";
import type { HeldOutPredictions, Mistake } from "./report_data.js";

/** The networks whose predictions are shown. */
export interface Networks {
  student: Module;
  teacher?: Module;
}

/** Refuses anything but networks. */
export function expectNetworks({ student, teacher }: Networks): void {
  expectModule("networks.student", student);
  if (teacher !== undefined) expectModule("networks.teacher", teacher);
}

/** The predictions behind logits for held-out data. */
export function predictionsOf(
  data: Dataset,
  { student, teacher }: { student: EvaluatedLogits; teacher: EvaluatedLogits | null },
  {
    teacherTemperature: temperature,
    ...about
  }: Pick<HeldOutPredictions, "part" | "weights"> & { teacherTemperature?: number },
): HeldOutPredictions {
  const calibrated = (temperature: number, { logits }: EvaluatedLogits) => ({
    temperature,
    teacher: evaluateOutputs(logits.div(temperature), data),
  });
  return {
    ...about,
    evaluation: student.evaluation,
    ...(teacher && { teacher: teacher.evaluation }),
    ...(teacher && temperature !== undefined && { calibrated: calibrated(temperature, teacher) }),
    mistakes: mistakesOf(data, { student: student.logits, ...(teacher && { teacher: teacher.logits }) }),
  };
}

/** The samples that the student, in eval mode, gets wrong. */
export function mistakesIn(networks: Networks, data: Dataset): Mistake[] {
  expectNetworks(networks);
  expectDataset(data);
  const { student, teacher } = networks;
  return mistakesOf(data, { student: logitsOf(student, data), ...(teacher && { teacher: logitsOf(teacher, data) }) });
}
