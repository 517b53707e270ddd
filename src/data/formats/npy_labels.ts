import { badData } from "../../files/index.js";
import { NO_LABEL } from "../dataset.js";
import type { NpyArray } from "./npy.js";

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
