import { show } from "../checks.js";
import type { Dataset } from "../data/dataset.js";
import { targetsOf } from "../data/targets.js";
import { columnOf } from "./collecting.js";

/**
 * Which figures are not defined for the targets of some data, with the value that stands for them, as scikit-learn has it: the R2 of a
 * target that is always the same, the average precision of a label that no sample has.
 */
export function undefinedFigures(data: Dataset): string[] {
  const { task, classes, classNames, length } = data;
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
