import { show } from "../checks.js";
import type { Dataset } from "../data/dataset.js";
import { targetsOf } from "../data/targets.js";
import { columnOf } from "./collecting.js";
import { neighboursOf } from "./vectors.js";

/**
 * Which figures are not defined for the targets of some data, with the value that stands for them, as scikit-learn has it: the R2 of a
 * target that is always the same, the average precision of a label that no sample has. Of vectors, also where retrieval agreement
 * compares fewer neighbours than ten.
 */
export function undefinedFigures(data: Dataset): string[] {
  const { task, classes, classNames, length } = data;
  if (task === "vectors") return ofVectors(data);
  if (task !== "regression" && task !== "multi-label") return [];
  const targets = targetsOf(data);
  if (targets === undefined) return [];
  return Array.from({ length: classes }, (_, c) => columnOf(targets.data, classes, c)).flatMap((column, c) => {
    const name = show(classNames?.[c] ?? String(c));
    const [first] = column;
    if (!column.every((x) => x === first)) return [];
    if (task === "regression") {
      return [
        `${name} is the same in all ${length} samples, of which R2 is not defined: it counts as 0, without any error as 1`,
      ];
    }
    return first === 0
      ? [`${name}: none of ${length} samples has this label, of which average precision is not defined: it counts as 0`]
      : [];
  });
}

function ofVectors(data: Dataset): string[] {
  const { length, classes } = data;
  const [usual, compared] = [neighboursOf(Number.POSITIVE_INFINITY), neighboursOf(length)];
  const notes: string[] = [];
  if (compared < 1) {
    notes.push(
      `retrieval agreement is not defined for fewer than 3 samples, got ${length}: it counts as 1; read the cosine instead`,
    );
  } else if (compared < usual) {
    notes.push(
      `retrieval agreement @${usual} is @${compared} here: of ${length} samples, at most half of the ${length - 1} others are compared`,
    );
  }
  const rows = targetsOf(data)?.data ?? new Float32Array(0);
  const zeros = Array.from({ length: rows.length / classes }, (_, i) => i).filter((i) =>
    rows.subarray(i * classes, (i + 1) * classes).every((x) => x === 0),
  );
  if (zeros.length > 0) {
    notes.push(
      `${zeros.length} of ${length} target vectors are all zeros, of which the cosine is not defined: it counts as 0`,
    );
  }
  return notes;
}
