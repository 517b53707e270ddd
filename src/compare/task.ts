import { argumentError, badArgument, expectNumber } from "../checks.js";
import { expectDataset, NO_LABEL } from "../data/dataset.js";
import { basesOf } from "../data/derived_dataset.js";
import { type Dataset, Subset, splitDataset } from "../data/index.js";
import { labelsOf } from "../data/labels.js";
import { indexRange } from "../data/take_batch.js";
import { hasTargets } from "../data/task_name.js";
import { DistilleryError } from "../errors.js";
import { expectModule } from "../nn/expect_module.js";
import type { Module } from "../nn/module.js";
import type { Teacher } from "../teachers/index.js";
import { isTeacher } from "../teachers/teacher.js";
import { Generator, randperm, withGenerator } from "../tensor/random.js";
import { expectEvaluable } from "../train/trainer_input.js";
import { VALIDATION_FRACTION } from "./options.js";

/** What the runs of a comparison or a sweep share: networks and data to train on. */
export interface Task {
  /**
   * Makes the teacher, which is trained first; or a trained one: a network, or a {@link Teacher} such as `await
   * openTeacher("teacher.onnx")` and `functionTeacher(ask)` return, which is run once for each sample.
   */
  teacher: Module | Teacher | (() => Module);
  /** Makes the student, with weights drawn from the current random stream; called for each run. */
  student: () => Module;
  /** To train on. */
  data: Dataset;
  /**
   * Chooses the best epochs: a data set, or the fraction of `data` that is held out (before augmentation), stratified
   * by class; default 0.1.
   */
  validation?: Dataset | number;
}

/** A task whose validation set is split off. */
export interface SplitTask extends Task {
  validation: Dataset;
}

/** The teacher of a task, or one that it makes, drawn from a stream of its own. */
export function teacherOf({ teacher }: Pick<Task, "teacher">): Module | Teacher {
  return typeof teacher === "function" ? withGenerator(new Generator(), () => teacher()) : teacher;
}

/** Checks a task, and splits its validation set off: the same one wherever the same task is split. */
export function splitTask({ teacher, student, data, validation = VALIDATION_FRACTION }: Task): SplitTask {
  if (typeof teacher !== "function" && !isTeacher(teacher)) expectModule("teacher", teacher);
  for (const [name, make] of Object.entries({ teacher, student })) {
    // Called without "new", a class throws an error of its own.
    const isClass = typeof make === "function" && /^class\b/.test(Function.prototype.toString.call(make));
    if (isClass) throw badArgument(name, `a function that makes the network, as () => new ${make.name}()`, make);
  }
  if (typeof student !== "function") {
    throw argumentError("student", "expected a function that makes the network, as () => new Net()");
  }
  expectDataset(data, "data");
  if (data.classes < 2 && !hasTargets(data)) {
    const text = `expected two classes or more, got ${data.classes}`;
    throw argumentError("data", text);
  }
  if (typeof validation !== "number") {
    expectDataset(validation, "validation");
    expectLike(data, "validation", validation);
    return { teacher, student, data, validation };
  }
  const share = expectNumber("validation", validation, (x) => x > 0 && x < 1, "a data set or a share between 0 and 1");
  const { train, heldOut } = splitDataset(data, { fraction: share, seed: 0 });
  return { teacher, student, data: train, validation: asTheyAre(heldOut) };
}

/** The samples below an augmentation. */
function asTheyAre(data: Dataset): Dataset {
  if (data.augmented !== true) return data;
  const base = basesOf(data).find(({ dataset }) => dataset.augmented !== true);
  if (base === undefined) throw argumentError("validation", "data are augmented at random: give it, split off before");
  return new Subset(base.dataset, base.indices);
}

/**
 * Refuses a held-out set of other features, classes or task than the training data, and one without all of its labels.
 */
export function expectLike(data: Dataset, name: string, heldOut: Dataset): void {
  const { features, classes } = data;
  if (heldOut.features !== features || heldOut.classes !== classes) {
    const text = `expected ${features} features and ${classes} classes, as the training data have, got ${heldOut.features} and ${heldOut.classes}`;
    throw new DistilleryError("SHAPE_MISMATCH", `${name}: ${text}`);
  }
  expectEvaluable(name, heldOut, data);
}

/** The same part for the same fraction, stratified by class; of samples without labels the same fraction of those. */
export function fractionOf(data: Dataset, fraction: number): Dataset {
  if (fraction === 1) return data;
  const { heldOut } = splitDataset(data, { fraction, seed: 0 });
  if (data.unlabelled !== true || hasTargets(data)) return heldOut;
  const labels = labelsOf(data);
  const rest = indexRange(0, data.length).filter((i) => labels[i] === NO_LABEL);
  const order = withGenerator(new Generator(0), () => randperm(rest.length)).data;
  const drawn = order.subarray(0, Math.round(fraction * rest.length)).map((i) => rest[i]);
  return new Subset(data, Int32Array.from([...heldOut.indices, ...drawn]).sort());
}
