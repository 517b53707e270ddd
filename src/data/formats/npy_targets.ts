import { badData } from "../../files/index.js";
import { NO_LABEL } from "../dataset.js";
import { looksLikeRegression } from "../labels.js";
import { targetText, wrongTarget } from "../targets.js";
import type { TaskName } from "../task_name.js";
import type { NpyArray } from "./npy.js";

/**
 * What an array of labels is for, if nobody said it: whole numbers [n] are classes; many different ones that do not follow each
 * other, or fractions, a regression; 0 and 1 alone in [n, k] several labels; other numbers in [n, k] a regression.
 */
export function taskOfArray(array: NpyArray, where: string): TaskName {
  const { shape } = array;
  const values = numbersOf(array);
  if (shape.length !== 2 || shape[1] === 1) {
    // What is no number is refused as a class.
    if (!values.every(Number.isFinite)) return "classification";
    const different = [...new Set(values)].sort((a, b) => a - b);
    return looksLikeRegression(different, values.length, true) ? "regression" : "classification";
  }
  if (values.some((x) => x !== 0 && x !== 1)) return "regression";
  if (!mayBeOneHot(values, shape[1])) return "multi-label";
  const advice = "argmax(axis=1) makes classes of one-hot rows; --task multi-label takes them as labels";
  throw badData(where, `expected labels of shape [${shape[0]}], got [${shape.join(", ")}]: ${advice}`);
}

/** Whether no sample has two labels. */
function mayBeOneHot(values: Float64Array, width: number): boolean {
  for (let at = 0; at < values.length; at += width) {
    if (values.subarray(at, at + width).reduce((sum, x) => sum + x, 0) > 1) return false;
  }
  return true;
}

/** The targets [count, outputs] of an array [n] or [n, outputs]; `BAD_DATA` with the row of one that is none. */
export function toTargets(
  array: NpyArray,
  count: number,
  where: string,
  task: TaskName,
): { labels: Int32Array; targets: Float64Array; outputs: number } {
  const { shape } = array;
  const [length, outputs = 1] = shape;
  if (shape.length < 1 || shape.length > 2 || outputs === 0) {
    throw badData(where, `expected targets of shape [${count}] or [${count}, outputs], got [${shape.join(", ")}]`);
  }
  if (length !== count) throw badData(where, `expected ${count} rows of targets, one a sample, got ${length}`);
  const targets = numbersOf(array);
  const wrong = wrongTarget(targets, task);
  if (wrong >= 0) {
    const place = `row ${Math.floor(wrong / outputs)}, column ${wrong % outputs}`;
    throw badData(where, `${place}: expected ${targetText(task)}, got ${targets[wrong]}`);
  }
  return { labels: new Int32Array(count).fill(NO_LABEL), targets, outputs };
}

function numbersOf({ data }: NpyArray): Float64Array {
  const values = new Float64Array(data.length);
  for (let i = 0; i < values.length; i++) values[i] = Number(data[i]);
  return values;
}

const REGRESSION = ": --task regression takes numbers as targets";
/** What takes samples without labels. */
const BY_FLAG = "; --unlabelled takes -1 as no label";
/** What makes classes of any labels. */
export const BY_UNIQUE = "np.unique(y, return_inverse=True) numbers them from 0 on";

/** Classes from 0 out of an array [n] or [n, 1] of whole numbers, one for each sample. */
export function toLabels({ shape, data }: NpyArray, count: number, where: string, unlabelled = false): Int32Array {
  const [length, width = 1] = shape;
  if (shape.length < 1 || shape.length > 2 || width !== 1) {
    const advice = shape.length === 2 ? ": argmax(axis=1) makes classes of one-hot rows" : "";
    throw badData(where, `expected labels of shape [${count}], got [${shape.join(", ")}]${advice}`);
  }
  if (length !== count) throw badData(where, `expected ${count} labels, one a sample, got ${length}`);
  const labels = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const label = Number(data[i]);
    if (unlabelled && label === NO_LABEL) {
      labels[i] = NO_LABEL;
      continue;
    }
    if (!Number.isInteger(label) || label < 0 || label >= 2 ** 31 - 1) {
      const advice = Number.isInteger(label) ? `: ${BY_UNIQUE}` : Number.isFinite(label) ? REGRESSION : "";
      throw badData(
        where,
        `label ${i}: expected a class, a whole number from 0, got ${data[i]}${advice}${label === NO_LABEL ? BY_FLAG : ""}`,
      );
    }
    labels[i] = label;
  }
  return labels;
}
