import { expectShape } from "../checks.js";
import type { TaskName } from "../data/task_name.js";
import { DistilleryError } from "../errors.js";
import { klTerm } from "../ops/binary.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import type { DistillationLoss, LossBatch } from "./loss.js";
import { type Annealed, inEpoch } from "./temperature.js";

/**
 * The logits of student and teacher [rows, classes], checked; the teacher's become constants.
 *
 * @throws DistilleryError `BAD_DTYPE`; `SHAPE_MISMATCH`, beginning with `name`, if there are no rows, fewer than
 * `minClasses` classes, or different shapes.
 */
export function expectLogits(name: string, student: Tensor, teacher: Tensor, minClasses = 1): Tensor {
  expectTensor(`${name}: studentLogits`, student);
  expectTensor(`${name}: teacherLogits`, teacher);
  expectShape(`${name}: studentLogits`, student.shape, [-1, -1]);
  expectShape(`${name}: teacherLogits`, teacher.shape, student.shape);
  const [rows, classes] = student.shape;
  if (rows > 0 && classes >= minClasses) return teacher.detach();
  const what = minClasses > 1 ? `at least one row and ${minClasses} classes` : "at least one row and one class";
  throw new DistilleryError("SHAPE_MISMATCH", `${name}: expected ${what}, got [${rows}, ${classes}]`);
}

/** A loss of logits as a loss of `distill`, with a temperature that may change from epoch to epoch. */
export function ofLogits<O extends { temperature: Annealed }>(
  name: string,
  tasks: readonly TaskName[],
  options: O,
  lossOf: (student: Tensor, teacher: Tensor, options: O & { temperature: number }, batch: LossBatch) => Tensor,
): DistillationLoss {
  return {
    name,
    needsTeacher: true,
    tasks,
    compute(batch) {
      const now = { ...options, temperature: inEpoch(options.temperature, batch) };
      return { loss: lossOf(batch.student.logits, batch.teacher.logits, now, batch), metrics: {} };
    },
    config: () => ({ name, ...options }),
  };
}

/**
 * KL(p ‖ q) of log-probabilities, summed over all elements; in each row p and q have the same sum. A p of 0 adds
 * nothing, even if its logarithm is -Infinity.
 */
export function divergence(logP: Tensor, logQ: Tensor): Tensor {
  return klTerm(logP, logQ).sum();
}

/**
 * Returns a loss if it is finite.
 *
 * @throws DistilleryError `NON_FINITE` that begins with `name` and names the first element of the inputs that is not
 * finite.
 */
export function expectFiniteOutput(name: string, loss: Tensor, inputs: Readonly<Record<string, Tensor>>): Tensor {
  const value = loss.item();
  if (Number.isFinite(value)) return loss;
  const text = `expected a finite loss, got ${value}: its inputs are too large`;
  throw notFinite(name, inputs) ?? new DistilleryError("NON_FINITE", `${name}: ${text}`);
}

/** The error that names the first element of a loss's inputs that is not finite; null if all are. */
export function notFinite(name: string, inputs: Readonly<Record<string, Tensor>>): DistilleryError | null {
  // A class that is ruled out, -Infinity, is not an error by itself.
  for (const isReason of [(x: number) => !(x < Number.POSITIVE_INFINITY), (x: number) => !Number.isFinite(x)]) {
    for (const [input, { data, shape }] of Object.entries(inputs)) {
      const at = data.findIndex(isReason);
      if (at < 0) continue;
      const row = Math.floor(at / (data.length / shape[0]));
      const text = `${input}: expected finite numbers, got ${data[at]} in row ${row}`;
      return new DistilleryError("NON_FINITE", `${name}: ${text}`);
    }
  }
  return null;
}
