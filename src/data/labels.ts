import {
  argumentError,
  badArgument,
  badDtype,
  expectLength,
  expectShape,
  MAX_LENGTH,
  outOfRange,
  showList,
} from "../checks.js";
import { badData } from "../files/index.js";
import { slices } from "../slices.js";
import { IntTensor, type Labels, labelData } from "../tensor/int_tensor.js";
import { type Dataset, expectDataset, NO_LABEL } from "./dataset.js";
import { takeSlice } from "./take_batch.js";
import { hasTargets } from "./task_name.js";

/** Labels are read in batches of this size from a data set that does not have them at hand. */
const LABEL_BATCH = 512;

/**
 * The class of every sample [length]. A user's data set without {@link Dataset.labels} is read once, batch by
 * batch.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for what is no data set.
 * @example
 * ```ts
 * const ofClassThree = labelsOf(train).filter((label) => label === 3).length;
 * ```
 */
export function labelsOf(dataset: Dataset): Int32Array {
  const { labels, length } = expectDataset(dataset);
  if (hasTargets(dataset)) return new Int32Array(length).fill(NO_LABEL);
  if (labels instanceof IntTensor && labels.size === length) return labels.data;
  const all = new Int32Array(length);
  for (const [start, end] of slices(length, LABEL_BATCH)) all.set(takeSlice(dataset, start, end).labels.data, start);
  return all;
}

/**
 * Labels [samples] and the number of their classes, the highest label + 1 unless `classes` says it; `unlabelled`:
 * whether a sample may have none.
 */
export function checkLabels(labels: Labels, samples: number, classes?: number, unlabelled = false) {
  const data = labelData(labels);
  expectShape("labels", labels instanceof IntTensor ? labels.shape : [data.length], [samples]);
  if (classes !== undefined) expectLength("classes", classes);
  const most = classes ?? MAX_LENGTH;
  const wrong = data.findIndex((label) => (label < 0 && !(unlabelled && label === NO_LABEL)) || label >= most);
  if (wrong >= 0) throw outOfRange(`labels[${wrong}]`, most, data[wrong]);
  const highest = data.reduce((a, b) => Math.max(a, b), classes === undefined ? NO_LABEL : 0);
  if (highest === NO_LABEL) throw argumentError("classes", "needed, because no sample has a label");
  return { labels: new IntTensor(data, [samples]), classes: classes ?? highest + 1 };
}

/** The names of classes: texts, each once, as many as there are classes if that is known. */
export function expectClassNames<N extends readonly string[] | undefined>(names: N, classes?: number): N {
  if (names === undefined) return names;
  if (!Array.isArray(names)) throw badDtype("classNames", "a list of texts", names);
  const seen = new Set<string>();
  const wrong = names.findIndex((name) => typeof name !== "string" || seen.size === seen.add(name).size);
  if (wrong >= 0) {
    throw badArgument(`classNames[${wrong}]`, "texts, each once", names[wrong]);
  }
  if (classes !== undefined && names.length !== classes) {
    throw argumentError("classNames", `expected ${classes} names, got ${names.length}`);
  }
  return names;
}

/** The number of classes of training labels: two or more, numbered from 0 on, each from `first` on with a sample. */
export function countClasses(labels: Int32Array, file: string, advice: string, first = 0): number {
  const highest = highestOf(labels);
  const seen = new Set(labels);
  seen.delete(NO_LABEL);
  if (seen.size < 2) throw badData(file, `expected at least two classes, got ${seen.size === 0 ? "none" : "one"}`);
  for (let label = first; label < highest; label++) {
    if (seen.has(label)) continue;
    const place = `label ${labels.indexOf(highest)}: class ${highest}`;
    throw badData(file, `${place}, but class ${label} has no sample: ${advice}`);
  }
  return highest + 1;
}

/** The number of classes of data for a network that knows them: classes without a sample are allowed. */
export function countKnown(parts: readonly ({ readonly labels: Int32Array } | null)[]): number {
  return Math.max(...parts.map((part) => (part === null ? 0 : highestOf(part.labels) + 1)));
}

function highestOf(labels: Int32Array): number {
  return labels.reduce((a, b) => Math.max(a, b));
}

/** Refuses a test label of a class that no training sample has: one that no network can have learnt. */
export function expectSeen(
  training: Int32Array,
  testing: Int32Array,
  file: string,
  locationOf = (at: number) => `label ${at}`,
): void {
  const seen = new Set<number>(training);
  const at = testing.findIndex((label) => !seen.has(label));
  if (at < 0) return;
  const lacking = testing.filter((label) => !seen.has(label));
  const others = new Set(lacking).size - 1;
  const more = others === 0 ? "" : `, nor ${others === 1 ? "is one other" : `are ${others} others`}`;
  const advice = `no network can learn what it has no sample of: add some there, or leave ${lacking.length} out here`;
  throw badData(file, `${locationOf(at)}: class ${testing[at]} is not in the training set${more}: ${advice}`);
}

/** With more different numbers than this, labels are taken as classes only if that is certain. */
export const MANY = 20;
/** The least rows per class on average, if there are many classes whose numbers are not consecutive. */
const ROWS_EACH = 10;

/**
 * Whether numbers as labels look like the target of a regression. `labels` has each number once, ascending; `isNamed`:
 * the user named the column. There must be many numbers. In a named column, they must also have fractions, or not be
 * consecutive and have few rows each.
 */
export function looksLikeRegression(labels: readonly number[], rows: number, isNamed: boolean): boolean {
  const fractions = labels.filter((label) => !Number.isInteger(label)).length;
  // A few fractions among whole numbers are probably mistakes.
  if (fractions > 0) return labels.length > MANY && isNamed;
  const follow = labels[labels.length - 1] - labels[0] + 1 === labels.length;
  return labels.length > MANY && (!isNamed || (!follow && rows < ROWS_EACH * labels.length));
}

/** What is wrong with such labels. */
export function regressionText(labels: readonly number[], rows: number): string {
  return `${labels.length} different numbers in ${rows} rows, as the target of a regression`;
}

/** The names of a data set's classes: those that it has, or their numbers. */
export function classNamesOf({ classes, classNames }: Classes): readonly string[] {
  return classNames ?? Array.from({ length: classes }, (_, i) => String(i));
}

/** Classes, with or without names. */
interface Classes {
  readonly classes: number;
  readonly classNames?: readonly string[] | null;
}

/** The classes that a network knows; null: their numbers alone. */
interface Known {
  readonly classNames: readonly string[] | null;
}

/**
 * Matches the data's classes with the network's by their names: the network's number of each class, and the names that
 * the network does not know. Classes without names are matched by their numbers, if the network knows those. Null if
 * one of the two has no names: then only the numbers of classes can be compared.
 */
export function classPlaces(
  { classNames: known }: Known,
  data: Classes,
): { places: readonly number[]; unknown: readonly string[]; known: readonly string[] } | null {
  if (known === null) return null;
  const wanted = classNamesOf(data);
  if (data.classNames == null && !wanted.every((name) => known.includes(name))) return null;
  const places = wanted.map((name) => known.indexOf(name));
  return { places, unknown: wanted.filter((_, i) => places[i] < 0), known };
}

/**
 * What is wrong with labels that are numbers of classes for a network that knows its classes by other names; null:
 * nothing.
 */
export function namelessProblem(
  { classNames: known }: Known,
  { classNames: given }: { readonly classNames?: readonly string[] | null },
): { known: string; given: string } | null {
  if (known === null || (given !== null && given !== undefined)) return null;
  if (known.every((name, i) => name === String(i))) return null;
  return {
    known: `knows its classes by names, ${showList(known, 8)}`,
    given:
      "has their numbers alone, whose order may be another: give it the names, as folders of images or a table have them, in a program with classNames",
  };
}
