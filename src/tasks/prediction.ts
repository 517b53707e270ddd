import { DistilleryError } from "../errors.js";
import { argmax } from "../ops/max.js";
import { rowOf } from "../slices.js";
import type { Tensor } from "../tensor/tensor.js";
import { softmax } from "./softmax.js";

/** A network's prediction of the class of one sample. */
export interface Prediction {
  /** The most probable class, its name or its number, and its probability. */
  class: number;
  className: string;
  probability: number;
  /** By class; their sum is 1. */
  probabilities: number[];
}

/**
 * A network's prediction of numbers for one sample: of a regression in the unit of their columns; the values of a
 * vector.
 */
export interface ValuePrediction {
  values: number[];
}

/** A network's prediction of several labels for one sample. */
export interface LabelPrediction {
  /** Those whose probability is above 0.5: their names or their numbers. */
  labels: string[];
  /** By label. */
  probabilities: number[];
}

/** A prediction of any task. */
export type TaskPrediction = Prediction | ValuePrediction | LabelPrediction;

/**
 * The class of each row of logits [n, classes]; `NON_FINITE` if a row says none: the largest is then NaN or infinite.
 */
export function predictedClasses(logits: Tensor, before = 0): Int32Array {
  const classes = argmax(logits, 1).data;
  const { data, shape } = logits;
  const wrong = classes.findIndex((place, i) => !Number.isFinite(data[i * shape[1] + place]));
  if (wrong >= 0) throw notFinite(before + wrong);
  return classes;
}

/** A sample of which a network says nothing. */
export function notFinite(sample: number): DistilleryError {
  const text = `sample ${sample}: the network's outputs are not finite, as after a training that diverged`;
  return new DistilleryError("NON_FINITE", text);
}

/** The classes that logits [n, classes] say. */
export function classPredictions(logits: Tensor, names: readonly string[] | null): Prediction[] {
  const predicted = argmax(logits, 1).data;
  return rowsOf(logits).map((row, i) => {
    const top = predicted[i];
    const probabilities = softmax(row);
    return { class: top, className: names?.[top] ?? String(top), probability: probabilities[top], probabilities };
  });
}

/** The labels that logits [n, labels] say. */
export function labelPredictions(logits: Tensor, names: readonly string[] | null): LabelPrediction[] {
  return rowsOf(logits).map((row) => {
    const probabilities = Array.from(row, (x) => 1 / (1 + Math.exp(-x)));
    const labels = probabilities.flatMap((p, i) => (p > 0.5 ? [names?.[i] ?? String(i)] : []));
    return { labels, probabilities };
  });
}

/** The rows of outputs. */
export function rowsOf({ data, shape: [rows, width] }: Tensor): Float32Array[] {
  return Array.from({ length: rows }, (_, i) => rowOf(data, i, width));
}
