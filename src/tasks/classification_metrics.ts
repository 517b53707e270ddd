import { expectShape, outOfRange } from "../checks.js";
import { type Labels, labelData } from "../tensor/int_tensor.js";
import type { Tensor } from "../tensor/tensor.js";
import { expectTensor } from "../tensor/tensor.js";
import type { Calibration, ClassReport, Evaluation } from "./evaluation.js";
import { predictedClasses } from "./prediction.js";

/**
 * The metrics of logits [n, classes] with true labels [n], and of a teacher's logits for the same samples if they are
 * given. In double precision.
 *
 * @throws DistilleryError `SHAPE_MISMATCH`, `LABEL_OUT_OF_RANGE`, `NON_FINITE`.
 * @example
 * ```ts
 * const logits = logitsOf(student, test);
 * const { accuracy, calibration } = evaluateLogits(logits, test.slice(0, test.length).labels);
 * ```
 */
export function evaluateLogits(logits: Tensor, labels: Labels, teacherLogits?: Tensor): Evaluation {
  expectTensor("logits", logits);
  const classes = labelData(labels);
  expectShape("logits", logits.shape, [classes.length, -1]);
  if (teacherLogits !== undefined) expectShape("teacherLogits", teacherLogits.shape, logits.shape);
  const metrics = new ClassificationMetrics(logits.shape[1]);
  metrics.add(logits, classes, teacherLogits && predictedClasses(teacherLogits));
  return metrics.report();
}

const BINS = 15;

/** The same, batch by batch. */
export class ClassificationMetrics {
  readonly #classes: number;
  readonly #confusion: number[][];
  readonly #bins = Array.from({ length: BINS }, () => ({ confidence: 0, correct: 0, count: 0 }));
  #samples = 0;
  #loss = 0;
  #teacher: { correct: number; alike: number } | null = null;

  constructor(classes: number) {
    this.#classes = classes;
    this.#confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  }

  /**
   * Adds logits [n, classes] with their labels [n] and the classes [n] that a teacher predicts. Gives the predicted
   * ones.
   */
  add(logits: Tensor, labels: Int32Array, teacherClasses?: Int32Array): Int32Array {
    const predicted = predictedClasses(logits, this.#samples);
    for (let i = 0; i < labels.length; i++) {
      this.#rowOf(labels[i], i)[predicted[i]] += 1;
      this.#addProbability(logits.data, i * this.#classes, predicted[i], labels[i]);
    }
    if (teacherClasses !== undefined) {
      this.#teacher ??= { correct: 0, alike: 0 };
      for (let i = 0; i < labels.length; i++) {
        if (teacherClasses[i] === labels[i]) this.#teacher.correct += 1;
        if (teacherClasses[i] === predicted[i]) this.#teacher.alike += 1;
      }
    }
    this.#samples += labels.length;
    return predicted;
  }

  report(): Evaluation {
    const samples = this.#samples;
    const correct = this.#confusion.reduce((sum, row, i) => sum + row[i], 0);
    return {
      accuracy: correct / samples,
      correct,
      samples,
      loss: this.#loss / samples,
      calibration: this.#calibration(),
      confusion: this.#confusion,
      perClass: this.#classReports(),
      ...(this.#teacher && {
        teacherAccuracy: this.#teacher.correct / samples,
        agreement: this.#teacher.alike / samples,
      }),
    };
  }

  #rowOf(label: number, i: number): number[] {
    const row: number[] | undefined = this.#confusion[label];
    if (row !== undefined) return row;
    throw outOfRange(`labels[${this.#samples + i}]`, this.#classes, label);
  }

  /** The label's cross-entropy and the predicted class's probability, from the row's softmax. */
  #addProbability(logits: Float32Array, start: number, predicted: number, label: number): void {
    const largest = logits[start + predicted];
    let sum = 0;
    for (let j = 0; j < this.#classes; j++) sum += Math.exp(logits[start + j] - largest);
    this.#loss += largest - logits[start + label] + Math.log(sum);
    const confidence = 1 / sum;
    const bin = this.#bins[Math.ceil(confidence * BINS) - 1];
    bin.confidence += confidence;
    bin.correct += Number(predicted === label);
    bin.count += 1;
  }

  #calibration(): Calibration {
    const gaps = this.#bins.map(({ confidence, correct }) => Math.abs(confidence - correct));
    return {
      error: gaps.reduce((sum, gap) => sum + gap, 0) / this.#samples,
      bins: this.#bins.map(({ confidence, correct, count }) => ({
        confidence: ratio(confidence, count),
        accuracy: ratio(correct, count),
        count,
      })),
    };
  }

  #classReports(): ClassReport[] {
    const claimed = new Float64Array(this.#classes);
    for (const row of this.#confusion) for (let j = 0; j < row.length; j++) claimed[j] += row[j];
    return this.#confusion.map((row, i) => {
      const support = row.reduce((sum, n) => sum + n, 0);
      const [precision, recall] = [ratio(row[i], claimed[i]), ratio(row[i], support)];
      return { precision, recall, f1: ratio(2 * precision * recall, precision + recall), support };
    });
  }
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
