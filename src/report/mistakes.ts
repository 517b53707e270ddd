import { basename } from "node:path";
import { type Dataset, labelsOf } from "../data/index.js";
import { type SourceRow, sourceRowsOf } from "../data/origin.js";
import { samplesOf } from "../data/preprocessing/encode.js";
import { takeBatch } from "../data/take_batch.js";
import { hasTargets } from "../data/task_name.js";
import { argmax } from "../ops/max.js";
import { rowOf } from "../slices.js";
import type { Tensor } from "../tensor/tensor.js";
import { imageUri } from "./png.js";
import type { Mistake } from "./report_data.js";

const MAX = 24;
const DIGITS = 6;

/** Logits [samples, classes] of both networks, in the order of the data. */
interface Logits {
  student: Tensor;
  teacher?: Tensor;
}

/**
 * Up to 24 samples that the student gets wrong with the most confidence, and up to 24 more among those that the teacher
 * gets right; most confident first.
 */
export function mistakesOf(data: Dataset, { student, teacher }: Logits): Mistake[] {
  if (hasTargets(data)) return [];
  const [labels, predicted] = [labelsOf(data), argmax(student, 1).data];
  const byTeacher = teacher && argmax(teacher, 1).data;
  const confidence = (index: number) => {
    const logits = sampleOf(student, index);
    const largest = logits[predicted[index]];
    return 1 / logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0);
  };
  const wrong = Array.from(labels.keys())
    .filter((index) => predicted[index] !== labels[index])
    .map((index) => ({ index, confidence: confidence(index) }))
    .sort((a, b) => b.confidence - a.confidence || a.index - b.index);
  const learnable = wrong.filter(({ index }) => byTeacher?.[index] === labels[index]);
  const chosen = new Set([...wrong.slice(0, MAX), ...learnable.slice(0, MAX)]);
  const indices = Int32Array.from(
    wrong.filter((sample) => chosen.has(sample)),
    ({ index }) => index,
  );
  if (indices.length === 0) return [];
  const batch = takeBatch(data, indices);
  const { inputs } = batch;
  const found = sourceRowsOf(data, indices);
  const isText = data.table?.columns.some((column) => "text" in column);
  const rows =
    data.table === undefined || (isText && found) ? null : (samplesOf(data, batch) as Required<Mistake>["cells"][]);
  return Array.from(indices, (index, i) => ({
    index,
    label: labels[index],
    student: rounded(sampleOf(student, index)),
    ...(teacher && { teacher: rounded(sampleOf(teacher, index)) }),
    ...(found && sourceOf(found[i])),
    ...(rows && { cells: rows[i] }),
    ...(data.image && { image: imageUri(sampleOf(inputs, i), data.image) }),
  }));
}

function sourceOf({ file, line, text }: SourceRow): Pick<Mistake, "source" | "text"> {
  return { source: { file: basename(file), line }, ...(text !== undefined && { text }) };
}

function sampleOf({ data, shape }: Tensor, row: number): Float32Array {
  return rowOf(data, row, data.length / shape[0]);
}

function rounded(logits: Float32Array): number[] {
  return Array.from(logits, (logit) => Number(logit.toPrecision(DIGITS)));
}
