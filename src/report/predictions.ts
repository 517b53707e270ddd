import { expectDataset } from "../data/dataset.js";
import type { Dataset } from "../data/index.js";
import { Module } from "../nn/module.js";
import { Tensor } from "../tensor/tensor.js";
import { expectModule } from "../train/arguments.js";
import { evaluate, logitsOf } from "../train/index.js";
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
  const teacher = logits.teacher && { teacher: new KnownLogits(logits.teacher) };
  return {
    ...about,
    evaluation: evaluate(new KnownLogits(logits.student), data, teacher),
    ...(teacher && { teacher: evaluate(teacher.teacher, data) }),
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

/**
 * A network whose predictions to a data set are known: gives them again, batch by batch in the data's order, so that several
 * figures cost one pass.
 */
class KnownLogits extends Module {
  #next = 0;

  /** Logits [samples, classes]. */
  constructor(private readonly logits: Tensor) {
    super();
  }

  override forward(x: Tensor): Tensor {
    const [samples, classes] = this.logits.shape as [number, number];
    const rows = x.shape[0] as number;
    const start = this.#next;
    this.#next = (start + rows) % samples;
    return new Tensor(this.logits.data.subarray(start * classes, (start + rows) * classes), [rows, classes]);
  }
}
