import { expectShape } from "../checks.js";
import { DistilleryError } from "../errors.js";
import type { Module } from "../nn/module.js";
import { argmax } from "../ops/argmax.js";
import { withArena } from "../tensor/buffer_pool.js";
import { Tensor } from "../tensor/tensor.js";
import { expectModule } from "./arguments.js";
import { answers } from "./logits.js";

/** What a network answers for one example. */
export interface Prediction {
  /** The class that it holds for the most probable, and how probable. */
  class: number;
  /** Its name, or its number. */
  className: string;
  probability: number;
  /** By class; their sum is 1. */
  probabilities: number[];
}

const BATCH = 1000;

/**
 * Classifies examples that carry no labels: the softmax of the network's answers, in eval mode. Inputs [n, features], as
 * `encodeSamples` makes them. The network's modes are set back.
 *
 * @throws DistilleryError `SHAPE_MISMATCH` where the network does not fit the inputs or the names of the classes,
 * `NON_FINITE` where its answers are no numbers.
 * @example
 * ```ts
 * const inputs = encodeSamples(preprocessingOf(train), [{ height: 1.62, colour: "red" }]);
 * const [{ className, probability }] = predict(student, inputs, { classNames: train.classNames });
 * ```
 */
export function predict(
  model: Module,
  inputs: Tensor,
  options: { classNames?: readonly string[] | null | undefined } = {},
): Prediction[] {
  expectModule("model", model);
  if (!(inputs instanceof Tensor)) throw new DistilleryError("BAD_DTYPE", "inputs: expected a Tensor [n, features]");
  expectShape("inputs", inputs.shape, [-1, -1]);
  const names = options.classNames ?? null;
  const rows = inputs.shape[0] as number;
  const starts = Array.from({ length: Math.ceil(rows / BATCH) }, (_, i) => i * BATCH);
  return starts.flatMap((start) =>
    withArena(() => {
      const logits = answers(model, inputs.slice(start, Math.min(start + BATCH, rows)), names?.length ?? -1);
      return predictionsOf(logits, names, start);
    }),
  );
}

function predictionsOf(logits: Tensor, names: readonly string[] | null, start: number): Prediction[] {
  const classes = logits.shape[1] as number;
  return Array.from(argmax(logits).data, (top, i) => {
    const probabilities = softmax(logits.data.subarray(i * classes, (i + 1) * classes));
    const probability = probabilities[top] as number;
    if (Number.isNaN(probability)) {
      throw new DistilleryError("NON_FINITE", `inputs[${start + i}]: the network's answer is not finite`);
    }
    return { class: top, className: names?.[top] ?? String(top), probability, probabilities };
  });
}

/** In double precision, from the largest logit. */
function softmax(logits: Float32Array): number[] {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = Array.from(logits, (x) => Math.exp(x - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}
