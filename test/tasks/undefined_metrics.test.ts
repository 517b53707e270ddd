import { expect, test } from "vitest";
import type { TaskName } from "../../src/data/task_name.js";
import { Tensor, TensorDataset } from "../../src/index.js";
import { TASKS } from "../../src/tasks/index.js";

const dataOf = (task: TaskName, targets: readonly number[]) =>
  new TensorDataset(new Tensor(new Float32Array(3), [3, 1]), new Tensor(Float32Array.from(targets), [3, 2]), {
    task,
    classNames: ["a", "b"],
  });

const undefinedOf = (task: TaskName, targets: readonly number[]) => TASKS[task].undefinedMetrics(dataOf(task, targets));

test("says of which targets a figure is not defined, and what stands for it", () => {
  expect(undefinedOf("regression", [1, 2, 1, 3, 1, 4])).toEqual([
    '"a" is the same in all 3 samples, of which R2 is not defined: it counts as 0, without any error as 1',
  ]);
  expect(undefinedOf("multi-label", [1, 0, 1, 0, 1, 0])).toEqual([
    '"b": none of 3 samples has this label, of which average precision is not defined: it counts as 0',
  ]);
  const fewer = "retrieval agreement @10 is @1 here: of 3 samples, at most half of the 2 others are compared";
  expect(undefinedOf("vectors", [1, 1, 1, 1, 1, 1])).toEqual([fewer]);
  expect(undefinedOf("vectors", [1, 1, 0, 0, 1, 0])).toEqual([
    fewer,
    "1 of 3 target vectors are all zeros, of which the cosine is not defined: it counts as 0",
  ]);
});
