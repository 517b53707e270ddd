import { types } from "node:util";
import { badDtype, expectInteger, RANGES, show } from "../checks.js";
import { DistilleryError, type ErrorCode } from "../errors.js";
import { IntTensor } from "../tensor/int_tensor.js";
import { Tensor } from "../tensor/tensor.js";
import { type Batch, type Dataset, NO_LABEL } from "./dataset.js";
import { hasTargets } from "./task_name.js";

/** `dataset.batch(indices)`, which has to be what the data set says of itself; otherwise an error that names both. */
export function takeBatch(dataset: Dataset, indices: Int32Array): Batch {
  const batch = dataset.batch(indices);
  const problem = problemOf(dataset, batch, indices.length);
  if (problem === null) return completed(dataset, batch, indices);
  const first = Array.from(indices.subarray(0, 3)).join(", ");
  throw badBatch(dataset, `batch([${first}${indices.length > 3 ? `, ... ${indices.length} indices` : ""}])`, problem);
}

/** `dataset.slice(start, end)`, checked as by {@link takeBatch}. */
export function takeSlice(dataset: Dataset, start: number, end: number): Batch {
  const batch = dataset.slice(start, end);
  const problem = problemOf(dataset, batch, end - start);
  if (problem === null) return completed(dataset, batch, batch.indices);
  throw badBatch(dataset, `slice(${start}, ${end})`, problem);
}

/** A batch with the texts of its samples, and images in their shape if they came as rows of values. */
function completed(dataset: Dataset, batch: Batch, indices: Int32Array): Batch {
  const { inputs } = batch;
  const { shape } = dataset;
  if (dataset.texts !== undefined) return { ...batch, texts: () => dataset.texts?.(indices) ?? [] };
  if (shape?.length !== 3 || inputs.shape.length !== 2) return batch;
  return { ...batch, inputs: new Tensor(inputs.data, [inputs.shape[0], ...shape]) };
}

type Problem = readonly [code: ErrorCode, text: string];

function badBatch({ name }: Dataset, call: string, [code, text]: Problem): DistilleryError {
  return new DistilleryError(code, `data set ${show(name)}: ${call}: ${text}`);
}

function problemOf(
  { features, classes, unlabelled = false, task }: Dataset,
  batch: Batch,
  samples: number,
): Problem | null {
  if (types.isPromise(batch)) {
    const advice = "it can't be async: read the samples before, for example with fromIterable()";
    return ["BAD_DTYPE", `expected inputs, labels and indices, got ${show(batch)}: ${advice}`];
  }
  if (typeof batch !== "object" || batch === null) {
    return ["BAD_DTYPE", `expected inputs, labels and indices, got ${show(batch)}`];
  }
  const { inputs, labels, targets, indices, mixed } = batch;
  const isOther = hasTargets({ task });
  if (!(inputs instanceof Tensor)) return ["BAD_DTYPE", `inputs: expected a Tensor, got ${show(inputs)}`];
  if (inputs.shape[0] !== samples || inputs.size !== samples * features) {
    const wanted = `[${samples}, ${features}]`;
    return ["SHAPE_MISMATCH", `inputs: expected shape ${wanted}, got [${inputs.shape.join(", ")}]`];
  }
  if (!(labels instanceof IntTensor)) return ["BAD_DTYPE", `labels: expected an IntTensor, got ${show(labels)}`];
  if (labels.shape.length !== 1 || labels.size !== samples) {
    return ["SHAPE_MISMATCH", `labels: expected shape [${samples}], got [${labels.shape.join(", ")}]`];
  }
  const { data } = labels;
  for (let i = 0; i < samples; i++) {
    const label = data[i];
    if ((label >= 0 && label < classes) || ((unlabelled || isOther) && label === NO_LABEL)) continue;
    const text = `labels[${i}]: expected a class from 0 to ${classes - 1}, as its classes say, got ${label}`;
    return ["LABEL_OUT_OF_RANGE", text];
  }
  if (isOther && !(targets instanceof Tensor)) return ["BAD_DTYPE", `targets: expected a Tensor, got ${show(targets)}`];
  if (isOther && (targets?.shape[0] !== samples || targets.size !== samples * classes)) {
    const wanted = `[${samples}, ${classes}], as its classes say`;
    return ["SHAPE_MISMATCH", `targets: expected shape ${wanted}, got [${targets?.shape.join(", ")}]`];
  }
  if (mixed !== undefined && !(mixed.weight >= 0 && mixed.weight <= 1)) {
    return ["BAD_ARGUMENT", `mixed.weight: expected ${RANGES.fraction}, got ${show(mixed.weight)}`];
  }
  if (!types.isInt32Array(indices) || indices.length !== samples) {
    return ["BAD_DTYPE", `indices: expected an Int32Array of ${samples}, got ${show(indices)}`];
  }
  return null;
}

/** Indices into a data set of `length` samples; `BAD_DTYPE` or `BAD_ARGUMENT` with the first that is out of range. */
export function expectIndices(indices: Int32Array, length: number): void {
  if (!types.isInt32Array(indices)) throw badDtype("indices", "an Int32Array", indices);
  const wrong = indices.findIndex((index) => index < 0 || index >= length);
  if (wrong >= 0) expectInteger(`indices[${wrong}]`, indices[wrong], 0, length - 1);
}

/** Refuses a range that is no part of a data set of `length` samples. */
export function expectRange(start: number, end: number, length: number): void {
  expectInteger("start", start, 0, length);
  expectInteger("end", end, start, length);
}

/** The indices `start` to `end` (not included). */
export function indexRange(start: number, end: number): Int32Array {
  const indices = new Int32Array(end - start);
  for (let i = 0; i < indices.length; i++) indices[i] = start + i;
  return indices;
}
