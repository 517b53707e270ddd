import { show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { badData } from "../files/index.js";
import { NO_LABEL } from "./dataset.js";
import type { TableOptions } from "./load_options.js";
import type { TableReader } from "./table_reader.js";
import { targetText, wrongTarget } from "./targets.js";
import type { TaskName } from "./task_name.js";

/** What read the labels of a file. */
export type LabelReader = Pick<TableReader, "labels" | "file">;

/**
 * What the label columns of a table are for: what `task` says; otherwise classes of one column, or, if it has many different
 * numbers and was named, a regression; of several columns labels if all are 0 or 1, else a regression. What was found is said.
 */
export function taskOfTable(
  { labels, file }: LabelReader,
  { task, onNote }: TableOptions & { onNote?: ((text: string) => void) | undefined },
): TaskName {
  const names = labels.map(({ name }) => show(name)).join(", ");
  if (labels.length > 1) {
    if (task === "classification") {
      const text = `labelColumns: a classification has one column of classes, got ${labels.length}`;
      throw new DistilleryError("BAD_ARGUMENT", text);
    }
    if (task !== undefined) return task;
    const areLabels = labels.every((column) => column.isBinary);
    const found = areLabels ? "multi-label" : "regression";
    onNote?.(
      `${file}: ${names}: ${areLabels ? "0 and 1 alone: several labels" : "numbers: a regression"} (--task ${found})`,
    );
    return found;
  }
  if (task !== undefined) return task;
  const [label] = labels;
  const different = label.isRegression;
  if (different === null) return "classification";
  onNote?.(
    `${file}: its label, ${names}, has ${different} different numbers: a regression (--task regression; --task classification takes whole numbers as classes)`,
  );
  return "regression";
}

/** The targets of all rows [rows, columns]; `BAD_DATA` with the line of a cell that is none. */
export function tableTargets(
  { labels, file }: LabelReader,
  task: TaskName,
): { labels: Int32Array; targets: Float64Array } {
  const columns = labels.map((column) => column.numbers());
  const [rows, width] = [columns[0].values.length, columns.length];
  const targets = new Float64Array(rows * width);
  for (const [c, { values, lineOf }] of columns.entries()) {
    const wrong = wrongTarget(values, task);
    if (wrong >= 0) {
      const text = `its target, ${show(labels[c].name)}: expected ${targetText(task)}, got ${values[wrong]}`;
      throw badData(file, `line ${lineOf(wrong)}: ${text}`);
    }
    for (let row = 0; row < rows; row++) targets[row * width + c] = values[row];
  }
  return { labels: new Int32Array(rows).fill(NO_LABEL), targets };
}
