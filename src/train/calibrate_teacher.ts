import { argumentError, expectShape } from "../checks.js";
import type { Dataset } from "../data/dataset.js";
import { labelsOf } from "../data/labels.js";
import { takeSlice } from "../data/take_batch.js";
import { hasTargets } from "../data/task_name.js";
import { DistilleryError } from "../errors.js";
import { changedLoss, type DistillationLoss, type LossBatch } from "../losses/loss.js";
import { isSum, type Sum } from "../losses/weighted_sum.js";
import { overlapOf } from "../models/overlap.js";
import { Module } from "../nn/module.js";
import { EVAL_ROWS } from "../nn/rows_for.js";
import { rowOf, turns } from "../slices.js";
import type { Teacher } from "../teachers/index.js";
import { expectOutputs } from "../teachers/teacher.js";
import { inPrecision, type Precision } from "../tensor/precision.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { NEEDS_VALIDATION } from "./options.js";

/** Where the search starts for logits of a usual size. */
const [MIN, MAX] = [0.01, 100];

/** A teacher's temperature, and its effect on the validation set. */
export interface TemperatureFit {
  temperature: number;
  /** The mean negative log-likelihood of the labels, before and after. */
  before: number;
  after: number;
}

/**
 * The temperature by which a teacher's logits are divided so that the labels of the validation set are most likely (Guo
 * et al., ICML 2017). The loss is convex in 1 / T, and the root of its slope is found by bisection in double precision.
 * The logits are computed in the run's precision; the event loop gets a turn before each batch.
 *
 * @throws DistilleryError `BAD_ARGUMENT` that says why there is no such temperature, `ABORTED` by the signal.
 */
export async function calibrateTeacher(
  teacher: Teacher,
  given: Dataset | undefined,
  { precision, signal }: { precision: Precision; signal?: AbortSignal },
): Promise<TemperatureFit> {
  const { validation, evaluate } = expectCalibratable(given, teacher);
  const logits = new Float64Array(validation.length * validation.classes);
  for await (const [start, end] of turns(validation.length, EVAL_ROWS)) {
    const batch = takeSlice(validation, start, end);
    if (signal?.aborted) throw new DistilleryError("ABORTED", "stopped while the teacher was calibrated");
    const asked = () => inPrecision(precision, () => evaluate.call(teacher, batch));
    const outputs = expectOutputs(teacher, await withGenerator(new Generator(), asked));
    expectShape("the teacher's logits of the validation set", outputs.logits.shape, [
      batch.indices.length,
      validation.classes,
    ]);
    logits.set(outputs.logits.data, start * validation.classes);
  }
  return fitTemperature(logits, labelsOf(validation), validation.classes);
}

/**
 * Refuses a teacher that can't be calibrated (`BAD_ARGUMENT`), before any logits are computed: one that has no outputs
 * for the validation set, one that changes with the run, or a `network` that was trained on that set.
 */
export function expectCalibratable(
  given: Dataset | undefined,
  { name, evaluate, isFixed }: Pick<Teacher, "name" | "evaluate" | "isFixed">,
  network?: unknown,
): { validation: Dataset; evaluate: NonNullable<Teacher["evaluate"]> } {
  const validation = expectCalibrationSet(given, network);
  if (isFixed === false) {
    const text = `${name} changes with the run, and its temperature is chosen before`;
    throw argumentError("calibrateTeacher", text);
  }
  if (evaluate !== undefined) return { validation, evaluate };
  const text = "the teacher gives no logits for the validation set, on which the temperature is chosen";
  throw argumentError("calibrateTeacher", text);
}

/**
 * Refuses data on which no teacher can be calibrated (`BAD_ARGUMENT`): none, data of another task, or data that the
 * network was trained on.
 */
export function expectCalibrationSet(validation: Dataset | undefined, network?: unknown): Dataset {
  const refuse = (text: string) => argumentError("calibrateTeacher", text);
  if (validation === undefined) throw refuse(NEEDS_VALIDATION.calibrateTeacher);
  if (hasTargets(validation)) throw refuse(`is for classes, and the data are for ${validation.task}`);
  const overlap = network instanceof Module ? overlapOf(network, validation, "teacher") : null;
  if (overlap !== null) throw refuse(`${overlap.figures}: its confidence there says nothing of other samples`);
  return validation;
}

/** The error for calibrating a teacher whose logits none of these losses reads. */
export function logitsUnread(losses: readonly string[]): DistilleryError {
  const none = losses.length === 1 ? `${losses[0]} does not read them` : `none of ${losses.join(", ")} reads them`;
  return argumentError("calibrateTeacher", `is for losses of the teacher's logits, and ${none}`);
}

/**
 * The temperature for logits, given row by row in one array, and their labels.
 *
 * @throws DistilleryError `BAD_ARGUMENT` that says why there is none; `NON_FINITE`.
 */
export function fitTemperature(logits: Float64Array, labels: Int32Array, classes: number): TemperatureFit {
  const at = (temperature: number) => likelihood(logits, labels, classes, 1 / temperature);
  const { loss } = at(1);
  if (!Number.isFinite(loss)) {
    const text = Number.isNaN(loss)
      ? "logits of the validation set are NaN or infinite"
      : "it rules out the label of a sample of the validation set, at any temperature";
    throw new DistilleryError("NON_FINITE", `the teacher can't be calibrated: ${text}`);
  }
  // Wider for logits that are very small, such as cosines, or very large.
  const spread = spreadOf(logits, classes);
  const [least, most] = [Math.min(MIN, spread / 1000), Math.max(MAX, 10 * spread)];
  let [low, high] = [Math.log(least), Math.log(most)];
  // The slope by 1 / T grows with 1 / T: it is below 0 if T is too large.
  if (!(spread > 0 && at(least).slope > 0 && at(most).slope < 0)) {
    const reason =
      spread > 0 && at(most).slope < 0
        ? "the teacher has every label of the validation set right: the smaller the temperature, the better"
        : "the teacher does no better than chance on the validation set: the larger the temperature, the better";
    throw argumentError("calibrateTeacher", `${reason}; there is no best one: leave it out`);
  }
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (at(Math.exp(middle)).slope > 0) low = middle;
    else high = middle;
  }
  const temperature = Math.exp((low + high) / 2);
  return { temperature, before: at(1).loss, after: at(temperature).loss };
}

/** The largest difference between two logits of a row; logits of -Infinity, which rule a class out, do not count. */
function spreadOf(logits: Float64Array, classes: number): number {
  let spread = 0;
  for (let start = 0; start < logits.length; start += classes) {
    const z = logits.subarray(start, start + classes).filter(Number.isFinite);
    spread = Math.max(spread, Math.max(...z) - Math.min(...z));
  }
  return spread;
}

/** The mean of -log softmax(b z)[label], and its slope by b. */
function likelihood(logits: Float64Array, labels: Int32Array, classes: number, b: number) {
  let [loss, slope] = [0, 0];
  for (const [row, label] of labels.entries()) {
    const z = rowOf(logits, row, classes);
    const top = z.reduce((most, x) => Math.max(most, x), Number.NEGATIVE_INFINITY);
    let [sum, weighted] = [0, 0];
    for (const x of z) {
      const share = Math.exp(b * (x - top));
      sum += share;
      if (share > 0) weighted += share * x;
    }
    loss += Math.log(sum) - b * (z[label] - top);
    slope += weighted / sum - z[label];
  }
  return { loss: loss / labels.length, slope: slope / labels.length };
}

/** A loss that reads the teacher's logits divided by a temperature. */
export function calibrated(loss: DistillationLoss, temperature: number): DistillationLoss {
  const own = changedLoss(loss, { compute: (batch) => loss.compute(divided(batch, temperature)) });
  if (!isSum(loss)) return own;
  const sum: Sum = {
    ...own,
    forClasses: (classes) => calibrated(loss.forClasses(classes), temperature),
    computeBy: (computeTerm, batch) => loss.computeBy(computeTerm, divided(batch, temperature)),
  };
  return sum;
}

/**
 * The batch with the teacher's logits divided. Property descriptors are copied: object spread would read the labels,
 * and reads of labels are tracked.
 */
function divided(batch: LossBatch, temperature: number): LossBatch {
  const { taps, logits } = batch.teacher;
  const fields = Object.getOwnPropertyDescriptors(batch);
  const view: unknown = Object.create(Object.getPrototypeOf(batch), {
    ...fields,
    teacher: { value: { taps, logits: logits.div(temperature) }, enumerable: true },
  });
  return view as LossBatch;
}
