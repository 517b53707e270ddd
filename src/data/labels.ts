import { expectInteger, expectShape, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { IntTensor, type Labels, labelData } from "../tensor/int_tensor.js";

/** Labels [examples] and the number of their classes, the highest label + 1 unless `classes` says it. */
export function checkLabels(labels: Labels, examples: number, classes?: number) {
  const data = labelData(labels);
  expectShape("labels", labels instanceof IntTensor ? labels.shape : [data.length], [examples]);
  if (classes !== undefined) expectInteger("classes", classes, 1, 2 ** 31 - 1);
  const most = classes ?? 2 ** 31 - 1;
  const wrong = data.findIndex((label) => label < 0 || label >= most);
  if (wrong >= 0) {
    const text = `labels[${wrong}]: expected a class from 0 to ${most - 1}, got ${data[wrong]}`;
    throw new DistilleryError("LABEL_OUT_OF_RANGE", text);
  }
  const highest = data.reduce((a, b) => Math.max(a, b), 0);
  return { labels: new IntTensor(data, [examples]), classes: classes ?? highest + 1 };
}

/** The names of classes: texts, each once, as many as there are classes where that is known. */
export function expectClassNames<N extends readonly string[] | undefined>(names: N, classes?: number): N {
  if (names === undefined) return names;
  if (!Array.isArray(names)) {
    throw new DistilleryError("BAD_DTYPE", `classNames: expected a list of texts, got ${show(names)}`);
  }
  const seen = new Set<string>();
  const wrong = names.findIndex((name) => typeof name !== "string" || seen.size === seen.add(name).size);
  if (wrong >= 0) {
    const text = `classNames[${wrong}]: expected texts, each once, got ${show(names[wrong])}`;
    throw new DistilleryError("BAD_ARGUMENT", text);
  }
  if (classes !== undefined && names.length !== classes) {
    throw new DistilleryError("BAD_ARGUMENT", `classNames: expected ${classes} names, got ${names.length}`);
  }
  return names;
}
