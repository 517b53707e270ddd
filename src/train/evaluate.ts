import { expectInteger } from "../checks.js";
import type { Dataset } from "../data/dataset.js";
import { DataLoader } from "../data/loader.js";
import { DistilleryError } from "../errors.js";
import type { Module } from "../nn/module.js";
import { argmax } from "../ops/argmax.js";
import { withArena } from "../tensor/buffer_pool.js";
import type { Tensor } from "../tensor/tensor.js";
import { expectDataset, expectModule } from "./arguments.js";
import { type Calibration, CalibrationCounts } from "./calibration.js";
import { answers } from "./logits.js";

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
  /** The mean cross-entropy; NaN or infinite where the network's answers are. */
  loss: number;
  calibration: Calibration;
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
  const { classes } = data;
  const counts = new Counts(classes);
  const batches = new DataLoader(data, { batchSize }).epochFrom(null);
  for (let i = 0; i < batches.length; i++) {
    withArena(() => {
      const { inputs, labels } = batches.batch(i);
      const logits = answers(model, inputs, classes);
      counts.add(labels.data, logits, teacher ? argmax(answers(teacher, inputs, classes)).data : null);
    });
  }
  return counts.report(teacher !== undefined);
}

class Counts {
  readonly confusion: number[][];
  readonly #classes: number;
  readonly #calibration = new CalibrationCounts();
  #examples = 0;
  #loss = 0;
  #teacherCorrect = 0;
  #alike = 0;

  constructor(classes: number) {
    this.#classes = classes;
    this.confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  }

  add(labels: Int32Array, logits: Tensor, byTeacher: Int32Array | null): void {
    const predicted = argmax(logits).data;
    for (const [i, label] of labels.entries()) {
      const row = this.#rowOf(label, i);
      const column = predicted[i] as number;
      row[column] = (row[column] as number) + 1;
      this.#weigh(logits.data, i * this.#classes, column, label);
      if (byTeacher === null) continue;
      if (byTeacher[i] === label) this.#teacherCorrect++;
      if (byTeacher[i] === column) this.#alike++;
    }
    this.#examples += labels.length;
  }

  #rowOf(label: number, i: number): number[] {
    const row = this.confusion[label];
    if (row !== undefined) return row;
    const text = `labels[${this.#examples + i}]: expected a class from 0 to ${this.#classes - 1}, got ${label}`;
    throw new DistilleryError("LABEL_OUT_OF_RANGE", text);
  }

  /** Softmax of a row in double precision, from its largest logit: the loss of the label, and how sure the network is. */
  #weigh(logits: Float32Array, start: number, top: number, label: number): void {
    const largest = logits[start + top] as number;
    let sum = 0;
    for (let j = 0; j < this.#classes; j++) sum += Math.exp((logits[start + j] as number) - largest);
    this.#loss += largest - (logits[start + label] as number) + Math.log(sum);
    this.#calibration.add(1 / sum, top === label);
  }

  report(withTeacher: boolean): Evaluation {
    const examples = this.#examples;
    const correct = this.confusion.reduce((sum, row, i) => sum + (row[i] as number), 0);
    const perClass = this.confusion.map((_, i) => this.#ofClass(i));
    const [loss, calibration] = [this.#loss / examples, this.#calibration.report()];
    const own = {
      accuracy: correct / examples,
      correct,
      examples,
      loss,
      calibration,
      confusion: this.confusion,
      perClass,
    };
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
