import { argumentError, badArgument, expectInteger, expectOneOf, expectShape, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { slices } from "../slices.js";
import { IntTensor, type Labels, labelData } from "../tensor/int_tensor.js";
import { Tensor } from "../tensor/tensor.js";
import { type Dataset, expectDataset, NO_LABEL, type ValueLayout } from "./dataset.js";
import { checkLabels, labelsOf } from "./labels.js";
import { firstRounded } from "./statistics.js";
import { takeSlice } from "./take_batch.js";
import { hasTargets, type OfTask, TASK_NAMES, type TaskName, taskNameOf } from "./task_name.js";

/** What the labels of samples are given as: classes [n], or the targets [n] or [n, outputs] of another task. */
export type GivenLabels = Labels | Tensor;

/** Labels and targets, checked. */
interface CheckedLabels {
  readonly labels: IntTensor;
  /** The number of outputs. */
  readonly classes: number;
  readonly task?: TaskName;
  /** [samples, outputs]. */
  readonly targets?: Tensor;
}

/**
 * The labels of samples by the task: classes from 0, or numbers. A float tensor is that of a regression unless `task`
 * says otherwise.
 *
 * @throws DistilleryError `SHAPE_MISMATCH`, `LABEL_OUT_OF_RANGE`, `NON_FINITE` with the row and column, `BAD_ARGUMENT`.
 */
export function readLabels(
  given: GivenLabels,
  samples: number,
  options: { classes?: number | undefined; task?: TaskName | undefined; unlabelled?: boolean },
): CheckedLabels {
  const { classes, unlabelled = false, task = given instanceof Tensor ? "regression" : "classification" } = options;
  expectOneOf("task", task, TASK_NAMES);
  if (task === "classification") {
    if (given instanceof Tensor) throw badArgument("labels", "whole numbers, as an Int32Array or an IntTensor", given);
    return checkLabels(given, samples, classes, unlabelled);
  }
  if (unlabelled) throw argumentError("unlabelled", `not possible for ${task}: every sample needs targets`);
  const data = given instanceof Tensor ? given.data : Float32Array.from(labelData(given));
  const shape = given instanceof Tensor || given instanceof IntTensor ? given.shape : [given.length];
  const outputs = shape.length < 2 ? 1 : shape[1];
  expectShape("targets", shape, shape.length < 2 ? [samples] : [samples, -1]);
  expectInteger("targets.shape[1]", outputs, 1, 2 ** 31 - 1);
  if (classes !== undefined && classes !== outputs) {
    throw new DistilleryError("SHAPE_MISMATCH", `targets: expected ${classes} numbers a sample, got ${outputs}`);
  }
  const wrong = wrongTarget(data, task);
  if (wrong >= 0) {
    const place = `targets[${Math.floor(wrong / outputs)}][${wrong % outputs}]`;
    const code = Number.isFinite(data[wrong]) ? "BAD_ARGUMENT" : "NON_FINITE";
    throw new DistilleryError(code, `${place}: expected ${targetText(task)}, got ${data[wrong]}`);
  }
  const labels = new IntTensor(new Int32Array(samples).fill(NO_LABEL));
  return { labels, classes: outputs, task, targets: new Tensor(data, [samples, outputs]) };
}

/** What the targets of a task are. */
interface TargetKind {
  /** What one of them has to be, for errors. */
  readonly text: string;
  accepts(x: number): boolean;
  /** What an output for it is called: class, target. */
  readonly output: readonly [one: string, several: string];
  /** Whether a data set standardises them by default. */
  readonly isScaled: boolean;
}

const NUMBER = {
  text: "a finite number of float32's range",
  accepts: (x: number) => Number.isFinite(Math.fround(x)),
  isScaled: false,
};

/** The kinds of targets, by task. */
const TARGETS: Readonly<Record<TaskName, TargetKind>> = {
  classification: {
    text: "a class, a whole number from 0",
    accepts: (x) => Number.isInteger(x) && x >= 0,
    isScaled: false,
    output: ["class", "classes"],
  },
  regression: { ...NUMBER, output: ["target", "targets"], isScaled: true },
  "multi-label": { text: "0 or 1", accepts: (x) => x === 0 || x === 1, output: ["label", "labels"], isScaled: false },
  vectors: { ...NUMBER, output: ["dimension", "dimensions"] },
};

/** The index of the first target that is none of the task; -1: all are. */
export function wrongTarget(data: Float32Array | Float64Array, task: TaskName): number {
  const { accepts } = TARGETS[task];
  return data.findIndex((x) => !accepts(x));
}

/** What a target is, for errors. */
export function targetText(task: TaskName): string {
  return TARGETS[task].text;
}

/** Whether a data set standardises the targets of a task by default. */
export function isScaled(task: TaskName): boolean {
  return TARGETS[task].isScaled;
}

/** What the outputs of a network for the data are: `10 classes`, `1 target`. */
export function outputsText({ task, classes }: Pick<Dataset, "task" | "classes">): string {
  const [one, several] = TARGETS[taskNameOf({ task })].output;
  return `${classes} ${classes === 1 ? one : several}`;
}

/** What one of them is called: class, target. */
export function outputText(data: OfTask): string {
  return TARGETS[taskNameOf(data)].output[0];
}

const BATCH = 512;

/** The targets of all samples [length, classes], as a network gives them; undefined for classes. */
export function targetsOf(dataset: Dataset): Tensor | undefined {
  if (!hasTargets(expectDataset(dataset))) return undefined;
  const { length, classes } = dataset;
  const all = new Float32Array(length * classes);
  for (const [start, end] of slices(length, BATCH)) {
    const { targets } = takeSlice(dataset, start, end);
    all.set((targets as Tensor).data, start * classes);
  }
  return new Tensor(all, [length, classes]);
}

/** What a split is stratified by: the classes; samples of another task are all alike. */
export function strataOf(dataset: Dataset): { strata: Int32Array; count: number } {
  if (!hasTargets(dataset)) return { strata: labelsOf(dataset), count: dataset.classes };
  return { strata: new Int32Array(dataset.length), count: 1 };
}

/** Values of targets, row after row, in the unit of their columns. */
export function inUnits<A extends Float32Array | Float64Array>(values: A, scale: ValueLayout | undefined): A {
  return scale === undefined ? values : affine(values, (x, c) => x * scale.std[c] + scale.mean[c], scale);
}

/** The same as a network gives them: (x - mean) / std of their column. */
export function standardized<A extends Float32Array | Float64Array>(values: A, scale: ValueLayout | undefined): A {
  return scale === undefined ? values : affine(values, (x, c) => (x - scale.mean[c]) / scale.std[c], scale);
}

/** Refuses targets that float32 can't tell apart in their own unit, in which somebody gives them. */
export function expectUnrounded(name: string, { targetScale, classNames }: Dataset): void {
  const at = targetScale === undefined ? -1 : firstRounded(targetScale);
  if (targetScale === undefined || at < 0) return;
  const which = `${show(classNames?.[at] ?? at)} has a mean of ${targetScale.mean[at]} and a deviation of ${targetScale.std[at]}`;
  const advice =
    "take a number off these targets, or have a network of Distillery's teach, or a function that gives lists of numbers";
  throw new DistilleryError("BAD_ARGUMENT", `${name}: ${which}, which float32 does not hold: ${advice}`);
}

function affine<A extends Float32Array | Float64Array>(
  values: A,
  change: (x: number, column: number) => number,
  { mean }: ValueLayout,
): A {
  const out = values.slice() as A;
  for (let i = 0; i < out.length; i++) out[i] = change(values[i], i % mean.length);
  return out;
}
