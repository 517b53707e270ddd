import { expectInteger, expectShape } from "../checks.js";
import { DataLoader, type Dataset } from "../data/index.js";
import { inEvalMode } from "../nn/modes.js";
import type { Module } from "../nn/module.js";
import { noGrad } from "../tensor/autograd.js";
import { scoped } from "../tensor/memory.js";
import { argmax } from "../tensor/reductions.js";
import { expectDataset, expectModule } from "./arguments.js";

/** Precision, recall and their harmonic mean for one class; 0 where nothing was predicted, or nothing is there. */
export interface ClassReport {
  precision: number;
  recall: number;
  f1: number;
  /** How many examples have this class. */
  support: number;
}

/** How well a network classifies. */
export interface Evaluation {
  /** The share of examples that are classified right, from 0 to 1. */
  accuracy: number;
  correct: number;
  examples: number;
  /** confusion[true class][predicted class]. */
  confusion: number[][];
  /** By class. */
  perClass: ClassReport[];
  /** With a teacher: its accuracy, and the share of examples that both classify alike, right or wrong. */
  teacherAccuracy?: number;
  agreement?: number;
}

/**
 * Classifies a data set in eval mode and compares with its labels, and with a teacher's classes where one is given.
 * The networks' modes are set back.
 *
 * @throws DistilleryError `SHAPE_MISMATCH` where a network does not fit the data.
 * @example
 * ```ts
 * const { accuracy, agreement } = evaluate(student, test, { teacher });
 * ```
 */
export function evaluate(
  model: Module,
  data: Dataset,
  options: { teacher?: Module; batchSize?: number } = {},
): Evaluation {
  expectModule("model", model);
  expectDataset("data", data);
  const { teacher, batchSize = 1000 } = options;
  expectInteger("batchSize", batchSize, 1);
  if (teacher !== undefined) expectModule("teacher", teacher);
  const counts = new Counts(data.classes);
  for (const { inputs, labels } of new DataLoader(data, { batchSize })) {
    scoped(() => counts.add(labels.data, predict(model, inputs), teacher ? predict(teacher, inputs) : null));
  }
  return counts.report(teacher !== undefined);

  function predict(network: Module, inputs: Parameters<Module["forward"]>[0]): Int32Array {
    const logits = inEvalMode(network, () => noGrad(() => network.forward(inputs)));
    expectShape("logits", logits.shape, [inputs.shape[0] as number, data.classes]);
    return argmax(logits).data;
  }
}

class Counts {
  readonly confusion: number[][];
  #examples = 0;
  #teacherCorrect = 0;
  #alike = 0;

  constructor(classes: number) {
    this.confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  }

  add(labels: Int32Array, predicted: Int32Array, byTeacher: Int32Array | null): void {
    this.#examples += labels.length;
    for (const [i, label] of labels.entries()) {
      const row = this.confusion[label] as number[];
      const column = predicted[i] as number;
      row[column] = (row[column] as number) + 1;
      if (byTeacher === null) continue;
      if (byTeacher[i] === label) this.#teacherCorrect++;
      if (byTeacher[i] === column) this.#alike++;
    }
  }

  report(withTeacher: boolean): Evaluation {
    const examples = this.#examples;
    const correct = this.confusion.reduce((sum, row, i) => sum + (row[i] as number), 0);
    const perClass = this.confusion.map((_, i) => this.#ofClass(i));
    const own = { accuracy: correct / examples, correct, examples, confusion: this.confusion, perClass };
    if (!withTeacher) return own;
    return { ...own, teacherAccuracy: this.#teacherCorrect / examples, agreement: this.#alike / examples };
  }

  #ofClass(i: number): ClassReport {
    const right = this.confusion[i]?.[i] as number;
    const support = (this.confusion[i] as number[]).reduce((sum, n) => sum + n, 0);
    const claimed = this.confusion.reduce((sum, row) => sum + (row[i] as number), 0);
    const [precision, recall] = [ratio(right, claimed), ratio(right, support)];
    return { precision, recall, f1: ratio(2 * precision * recall, precision + recall), support };
  }
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
