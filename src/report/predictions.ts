import { expectDataset } from "../data/dataset.js";
import { type Dataset, labelsOf } from "../data/index.js";
import { expectModule } from "../nn/expect_module.js";
import type { Module } from "../nn/module.js";
import { evaluateLogits, logitsOf } from "../train/index.js";
import { type Logits, mistakesOf } from "./mistakes.js";
import type { HeldOutPredictions, Mistake } from "./report_data.js";

/** The networks whose predictions are looked at. */
export interface Networks {
  student: Module;
  teacher?: Module;
}

/** Refuses what are no networks. */
export function expectNetworks({ student, teacher }: Networks): void {
  expectModule("networks.student", student);
  if (teacher !== undefined) expectModule("networks.teacher", teacher);
}

/** The predictions of the networks, in eval mode, on held-out data. */
export function predictionsOf(
  networks: Networks,
  data: Dataset,
  about: Pick<HeldOutPredictions, "part" | "weights">,
): HeldOutPredictions {
  const logits = logitsFor(networks, data);
  const labels = labelsOf(data);
  return {
    ...about,
    evaluation: evaluateLogits(logits.student, labels, logits.teacher),
    ...(logits.teacher && { teacher: evaluateLogits(logits.teacher, labels) }),
    mistakes: mistakesOf(data, logits),
  };
}

/** The samples that the student, in eval mode, gets wrong. */
export function mistakesIn(networks: Networks, data: Dataset): Mistake[] {
  expectNetworks(networks);
  return mistakesOf(expectDataset(data), logitsFor(networks, data));
}

function logitsFor({ student, teacher }: Networks, data: Dataset): Logits {
  return { student: logitsOf(student, data), ...(teacher && { teacher: logitsOf(teacher, data) }) };
}
