import { expectDataset } from "../data/expect_dataset.js";
import type { Dataset } from "../data/index.js";
import type { Module } from "../nn/module.js";
import { expectModule } from "../train/arguments.js";
import { evaluate, logitsOf } from "../train/index.js";
import { Answered } from "./answered.js";
import { type Logits, mistakesOf } from "./mistakes.js";
import type { Answers, Mistake } from "./report_data.js";

/** The networks whose answers are looked at. */
export interface Networks {
  student: Module;
  teacher?: Module;
}

/** Refuses what are no networks. */
export function expectNetworks({ student, teacher }: Networks): void {
  expectModule("networks.student", student);
  if (teacher !== undefined) expectModule("networks.teacher", teacher);
}

/** What the networks, in eval mode, answer for data that they were not trained on. */
export function answersOf(networks: Networks, data: Dataset, about: Pick<Answers, "part" | "weights">): Answers {
  const logits = ask(networks, data);
  const teacher = logits.teacher && { teacher: new Answered(logits.teacher) };
  return {
    ...about,
    evaluation: evaluate(new Answered(logits.student), data, teacher),
    ...(teacher && { teacher: evaluate(teacher.teacher, data) }),
    mistakes: mistakesOf(data, logits),
  };
}

/** The examples that the student, in eval mode, gets wrong. */
export function mistakesIn(networks: Networks, data: Dataset): Mistake[] {
  expectNetworks(networks);
  return mistakesOf(expectDataset(data), ask(networks, data));
}

function ask({ student, teacher }: Networks, data: Dataset): Logits {
  return { student: logitsOf(student, data), ...(teacher && { teacher: logitsOf(teacher, data) }) };
}
