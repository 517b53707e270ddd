import { types } from "node:util";
import {
  badArgument,
  badDtype,
  expectInteger,
  expectLength,
  expectShape,
  MAX_LENGTH,
  outOfRange,
  show,
} from "../checks.js";
import { DistilleryError, type ErrorCode } from "../errors.js";
import { IntTensor, type Labels, labelData } from "../tensor/int_tensor.js";
import { Tensor } from "../tensor/tensor.js";
import type { NumberFormat } from "./preprocessing/number_format.js";
import { hasTargets, type TaskName } from "./task_name.js";
import type { TextEncoding } from "./text/encodings.js";

/**
 * Labelled samples that a {@link DataLoader} takes batches from: `torch.utils.data.Dataset`, a batch at a time. Own data
 * sets implement it, or put their arrays into a {@link TensorDataset}.
 */
export interface Dataset {
  /** What logs call it: `synthetic`, `fashion-mnist`, the name of the folder. */
  readonly name: string;
  /** The number of samples. */
  readonly length: number;
  /** The number of values of one sample. */
  readonly features: number;
  /** The shape of one sample, [features] or [channels, height, width]; default: [features]. */
  readonly shape?: readonly number[];
  /** What networks are trained for on it; default: classification. */
  readonly task?: TaskName;
  /** The number of a network's outputs: of classes, whose labels are 0 to `classes - 1`; of another task those of targets. */
  readonly classes: number;
  /** Whether the values of a sample change at random from call to call; default false. */
  readonly augmented?: boolean;
  /** Whether samples may have no label, which is written as -1; default false. */
  readonly unlabelled?: boolean;
  /** Whether taking a batch twice is cheap and draws only from the current stream; default false. */
  readonly replayable?: boolean;
  /** The names of the classes, or of the targets, in their order; default: their numbers. */
  readonly classNames?: readonly string[];
  /** What standardised the targets, if they are numbers that were. */
  readonly targetScale?: ValueLayout;
  /** The class of every sample, if it is known: a split then reads no values. */
  readonly labels?: IntTensor | undefined;
  /** For images: how the values of a sample are laid out, and what makes them pixels again. */
  readonly image?: ImageLayout;
  /** For the rows of a table: its columns, and what standardised them. */
  readonly table?: TableLayout;
  /** For plain numbers that were standardised: by what. */
  readonly values?: ValueLayout;
  /** The number of neighbouring samples that are read together; a shuffling {@link DataLoader} keeps them together. */
  readonly chunk?: number;
  /** With `chunk`: the number of the chunk that a sample is read with; default: `index / chunk`, rounded down. */
  chunkOf?(index: number): number;
  /** The samples with these indices, in their order. */
  batch(indices: Int32Array): Batch;
  /** The samples `start` to `end` (not included). */
  slice(start: number, end: number): Batch;
  /** The texts of the samples with these indices, if the ids of texts are their values: networks of other encodings read them. */
  texts?(indices: Int32Array): readonly string[];
  /** SHA-256 in hex over the values, the labels and the normalisation: ties caches and checkpoints to the data. */
  fingerprint(): string;
}

/** Images as rows of values: channel after channel, each row by row, as PyTorch flattens [channels, height, width]. */
export interface ImageLayout {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Of image files: whether they were turned as their EXIF orientation says. */
  readonly upright?: boolean;
  /** By channel: a value is (pixel / 255 - mean) / std. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Plain numbers, each of which became (x - mean) / std of its column. */
export interface ValueLayout {
  /** [features]. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** A table whose rows became rows of values, column after column. */
export interface TableLayout {
  /** In the order of the values. */
  readonly columns: readonly TableColumn[];
  /** The column of the classes: its name and its index, counted from 0. */
  readonly label: LabelColumn;
  /** Of several targets: their columns, in their order. */
  readonly labels?: readonly LabelColumn[];
  /** Whether the first line of the file named the columns; otherwise their names are their indices. */
  readonly header: boolean;
  /** The cells of a line, if some were left out. */
  readonly width?: number;
}

/** A column of labels or targets: its name and its index, counted from 0. */
interface LabelColumn {
  readonly name: string;
  readonly index: number;
}

/**
 * A column of numbers, each of which becomes (x - mean) / std; one of few texts, which becomes a value for each category,
 * 1 if the cell has its text and 0 otherwise (one-hot); or one of texts to read, which become ids.
 */
export type TableColumn = NumberColumn | { readonly name: string; readonly categories: readonly string[] } | TextColumn;

/** A column of texts, each of which becomes `text.length` ids, 0 behind the last. */
export interface TextColumn {
  readonly name: string;
  readonly text: TextEncoding;
}

/** A column of numbers. */
interface NumberColumn {
  readonly name: string;
  readonly mean: number;
  readonly std: number;
  /** A missing number becomes 0, the mean; with `"category"` a second value is 1 for it and 0 otherwise. */
  readonly missing?: true | "category";
  /** How the numbers are written; default: as 1234.5. */
  readonly format?: NumberFormat;
}

/** What stands for the label of a sample that has none, as in scikit-learn. */
export const NO_LABEL = -1;

/** Some samples of a {@link Dataset}. */
export interface Batch {
  /** [n, ...shape] of the data set: [n, features], or of images [n, channels, height, width]. */
  readonly inputs: Tensor;
  /** [n]; of another task than classification -1 for all. */
  readonly labels: IntTensor;
  /** [n, classes]: the targets of another task than classification. */
  readonly targets?: Tensor;
  /** The index of each sample in the data set. */
  readonly indices: Int32Array;
  /** The texts whose ids the inputs are, of a data set that has them ({@link Dataset.texts}). */
  readonly texts?: () => readonly string[];
  /**
   * If each sample is mixed with another one (mixup): the labels of those [n], and the weight of the samples and labels
   * themselves, from 0 to 1.
   */
  readonly mixed?: { readonly labels: IntTensor; readonly weight: number };
}

/** Labels are read in batches of this size from a data set that does not have them at hand. */
const LABEL_BATCH = 512;

/**
 * The class of every sample [length]. A user's data set without {@link Dataset.labels} is read once, batch by
 * batch.
 *
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
  for (let start = 0; start < length; start += LABEL_BATCH) {
    all.set(takeSlice(dataset, start, Math.min(start + LABEL_BATCH, length)).labels.data, start);
  }
  return all;
}

/** Whether a batch may be taken twice: it costs little, and its random numbers come from the current stream. */
export function isReplayable(dataset: Dataset): boolean {
  return dataset.replayable === true;
}

/** The number of the chunk that a sample of a data set in chunks is read with. */
export function chunkOf(dataset: Dataset, index: number): number {
  return dataset.chunkOf?.(index) ?? Math.floor(index / (dataset.chunk ?? dataset.length));
}

/** A data set of at least one sample; otherwise `BAD_ARGUMENT` that names the argument. */
export function expectDataset(dataset: Dataset, name = "dataset"): Dataset {
  if (typeof dataset?.batch !== "function" || typeof dataset.slice !== "function") {
    throw badArgument(name, "a Dataset", dataset);
  }
  expectLength(`${name}.length`, dataset.length);
  return dataset;
}

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
    return ["BAD_DTYPE", `expected inputs, labels and indices, got a promise: ${advice}`];
  }
  if (typeof batch !== "object" || batch === null) {
    return ["BAD_DTYPE", `expected inputs, labels and indices, got ${show(batch)}`];
  }
  const { inputs, labels, targets, indices } = batch;
  const isOther = hasTargets({ task });
  if (!(inputs instanceof Tensor)) return ["BAD_DTYPE", `inputs: expected a Tensor, got ${show(inputs)}`];
  if (inputs.shape[0] !== samples || inputs.size !== samples * features) {
    const wanted = `[${samples}, ${features}], as its features say`;
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

/**
 * Labels [samples] and the number of their classes, the highest label + 1 unless `classes` says it; `unlabelled`: whether a
 * sample may have none.
 */
export function checkLabels(labels: Labels, samples: number, classes?: number, unlabelled = false) {
  const data = labelData(labels);
  expectShape("labels", labels instanceof IntTensor ? labels.shape : [data.length], [samples]);
  if (classes !== undefined) expectLength("classes", classes);
  const most = classes ?? MAX_LENGTH;
  const wrong = data.findIndex((label) => (label < 0 && !(unlabelled && label === NO_LABEL)) || label >= most);
  if (wrong >= 0) throw outOfRange(`labels[${wrong}]`, most, data[wrong]);
  const highest = data.reduce((a, b) => Math.max(a, b), classes === undefined ? NO_LABEL : 0);
  if (highest === NO_LABEL) throw new DistilleryError("BAD_ARGUMENT", "classes: needed: no sample has a label");
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
    throw new DistilleryError("BAD_ARGUMENT", `classNames: expected ${classes} names, got ${names.length}`);
  }
  return names;
}
