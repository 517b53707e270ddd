import type { Preprocessing } from "../../data/preprocessing/spec.js";
import { taskNameOf } from "../../data/task_name.js";

/** The functions of an exported module that take a sample. */
interface OutputJs {
  /** What the module exports to be called with a sample. */
  readonly name: "classify" | "predict" | "embed";
  readonly code: string;
  /** The declarations of what is exported; `INPUT` is the input's type. */
  readonly types: string;
}

const PREDICTION = `/** What the network says of a sample. */
export interface Prediction {
  /** The most probable class: its number, its name and its probability. */
  class: number;
  className: string;
  probability: number;
  /** By class; their sum is 1. */
  probabilities: number[];
}`;

/** The JavaScript that makes outputs what the task says; for classes their names are exported. */
export function outputJs(spec: Preprocessing | null, outputs: number): OutputJs {
  const { classNames = null, targets } = spec ?? {};
  const names = classNames ?? Array.from({ length: outputs }, (_, i) => String(i));
  const shown = `export const classNames = ${JSON.stringify(names)};`;
  switch (taskNameOf(spec ?? {})) {
    case "classification":
      return {
        name: "classify",
        code: `${shown}

/** The class of a sample, with the probabilities of all. */
export function classify(input) {
  const scores = logits(input);
  const largest = scores.reduce((a, b) => Math.max(a, b));
  const powers = Array.from(scores, (score) => Math.exp(score - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  const probabilities = powers.map((power) => power / sum);
  const best = scores.indexOf(largest);
  return { class: best, className: classNames[best], probability: probabilities[best], probabilities };
}

${logitsJs("outputs.every((x) => x < Infinity) && outputs.some(Number.isFinite)")}`,
        types: `${PREDICTION}

export const classNames: readonly string[];
/** The class of a sample, with the probabilities of all. */
export function classify(input: INPUT): Prediction;
/** The logits of a sample, by class. */
export function logits(input: INPUT): Float32Array;`,
      };
    case "multi-label":
      return {
        name: "classify",
        code: `${shown}

/** The labels of a sample whose probability is above 0.5, and the probabilities of all. */
export function classify(input) {
  const probabilities = Array.from(logits(input), (score) => 1 / (1 + Math.exp(-score)));
  return { labels: classNames.filter((_, i) => probabilities[i] > 0.5), probabilities };
}

${logitsJs("outputs.every((x) => x < Infinity)")}`,
        types: `/** What the network says of a sample: the labels whose probability is above 0.5, and the probabilities of all. */
export interface Prediction {
  labels: string[];
  probabilities: number[];
}

export const classNames: readonly string[];
/** The labels of a sample. */
export function classify(input: INPUT): Prediction;
/** The logits of a sample, by label. */
export function logits(input: INPUT): Float32Array;`,
      };
    case "regression": {
      const unit =
        targets === undefined
          ? "Array.from(outputs)"
          : `Array.from(outputs, (x, i) => x * ${JSON.stringify(targets.std)}[i] + ${JSON.stringify(targets.mean)}[i])`;
      return {
        name: "predict",
        code: `export const targetNames = ${JSON.stringify(names)};

/** The numbers that belong to a sample, in the unit of their columns. */
export function predict(input) {
  const outputs = finite(forward(encode(input)));
  return { values: ${unit} };
}

${FINITE}`,
        types: `export const targetNames: readonly string[];
/** The numbers that belong to a sample, in the unit of their columns, by the order of their names. */
export function predict(input: INPUT): { values: number[] };`,
      };
    }
    case "vectors":
      return {
        name: "embed",
        code: `/** The vector of a sample. */
export function embed(input) {
  return finite(forward(encode(input)));
}

${FINITE}`,
        types: `/** The vector of a sample. */
export function embed(input: INPUT): Float32Array;`,
      };
  }
}

/** The function that refuses outputs which do not fulfil a condition. */
const finite = (condition: string) => `function finite(outputs) {
  if (${condition}) return outputs;
  throw inputError("NON_FINITE", "the network's outputs for this input are not finite");
}`;

const FINITE = finite("outputs.every(Number.isFinite)");

/** A class or label of -Infinity is never predicted. */
const logitsJs = (condition: string) => `/** The logits of a sample. */
export function logits(input) {
  return finite(forward(encode(input)));
}

${finite(condition)}`;
