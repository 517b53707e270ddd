import { badArgument, badDtype, expectDimensions, expectLength, expectOneOf, show } from "../checks.js";
import type { IntTensor } from "../tensor/int_tensor.js";
import { numel } from "../tensor/shape.js";
import type { Tensor } from "../tensor/tensor.js";
import type { NumberFormat } from "./preprocessing/number_format.js";
import { TASK_NAMES, type TaskName } from "./task_name.js";
import type { TextEncoding } from "./text/encodings.js";

/**
 * Labelled samples from which a {@link DataLoader} takes batches, as `torch.utils.data.Dataset`. For your own data,
 * implement this interface or put arrays into a {@link TensorDataset}.
 */
export interface Dataset {
  /** The name in logs: `synthetic`, `fashion-mnist`, the name of the folder. */
  readonly name: string;
  /** The number of samples. */
  readonly length: number;
  /** The number of values of one sample. */
  readonly features: number;
  /** The shape of one sample, [features] or [channels, height, width]; default: [features]. */
  readonly shape?: readonly number[];
  /** What networks are trained for on it; default: classification. */
  readonly task?: TaskName;
  /**
   * The number of outputs that a network needs: the number of classes, whose labels are 0 to `classes - 1`, or of
   * targets for another task.
   */
  readonly classes: number;
  /** Whether the values of a sample change at random from call to call; default false. */
  readonly augmented?: boolean;
  /** Whether the samples of a batch are mixed with each other ({@link Batch.mixed}); default false. */
  readonly mixed?: boolean;
  /** Whether samples may have no label, which is written as -1; default false. */
  readonly unlabelled?: boolean;
  /** Whether a batch can be taken again cheaply, drawing only from the current random stream; default false. */
  readonly replayable?: boolean;
  /** The names of the classes, or of the targets, in their order; default: their numbers. */
  readonly classNames?: readonly string[];
  /** The means and deviations that standardised the targets, if they were. */
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
  /**
   * The texts of the samples with these indices, if the ids of texts are their values: networks of other encodings read
   * them.
   */
  readonly texts?: (indices: Int32Array) => readonly string[];
  /**
   * A text that identifies values, labels and normalisation, such as their SHA-256. Caches and checkpoints use it to
   * recognise the data.
   */
  fingerprint(): string;
}

/** Images as rows of values: channel after channel, each row by row, as PyTorch flattens [channels, height, width]. */
export interface ImageLayout {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** For image files: whether they were turned as their EXIF orientation says. */
  readonly upright?: boolean;
  /** By channel: a value is (pixel / 255 - mean) / std. */
  readonly mean: readonly number[];
  /** By channel, above 0. */
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
export interface LabelColumn {
  readonly name: string;
  readonly index: number;
}

/**
 * A column of numbers, each of which becomes (x - mean) / std; one of few texts, which becomes a value for each
 * category, 1 if the cell has its text and 0 otherwise (one-hot); or one of texts to read, which become ids.
 */
export type TableColumn = NumberColumn | { readonly name: string; readonly categories: readonly string[] } | TextColumn;

/** A column of texts, each of which becomes `text.length` ids, 0 behind the last. */
export interface TextColumn {
  readonly name: string;
  readonly text: TextEncoding;
}

/** A column of numbers. */
export interface NumberColumn {
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
  /** [n]; -1 for all if the task is not classification. */
  readonly labels: IntTensor;
  /** [n, classes]: the targets, if the task is not classification. */
  readonly targets?: Tensor;
  /** The index of each sample in the data set. */
  readonly indices: Int32Array;
  /** The texts whose ids the inputs are, of a data set that has them ({@link Dataset.texts}). */
  readonly texts?: () => readonly string[];
  /**
   * With mixup: the labels [n] of the samples that were mixed in, and the weight of the original samples and labels,
   * from 0 to 1.
   */
  readonly mixed?: { readonly labels: IntTensor; readonly weight: number };
}

/** The number of the chunk that a sample of a data set in chunks is read with. */
export function chunkOf(dataset: Dataset, index: number): number {
  return dataset.chunkOf?.(index) ?? Math.floor(index / (dataset.chunk ?? dataset.length));
}

/**
 * A data set of at least one sample that says what its samples are; otherwise `BAD_ARGUMENT` that names the argument.
 */
export function expectDataset(dataset: Dataset, name = "dataset"): Dataset {
  if (typeof dataset?.batch !== "function" || typeof dataset.slice !== "function") {
    throw badArgument(name, "a Dataset", dataset);
  }
  const { length, features, classes, shape, task } = dataset;
  for (const [what, count] of Object.entries({ length, features, classes })) expectLength(`${name}.${what}`, count);
  if (shape !== undefined && numel(expectDimensions(`${name}.shape`, shape)) !== features) {
    throw badArgument(`${name}.shape`, `the shape of a sample of ${features} values`, shape);
  }
  if (task !== undefined) expectOneOf(`${name}.task`, task, TASK_NAMES);
  if (typeof dataset.name !== "string") throw badArgument(`${name}.name`, "a text", dataset.name);
  return dataset;
}

/** What {@link Dataset.fingerprint} gives; `BAD_DTYPE` unless it is a text. */
export function fingerprintOf(dataset: Dataset): string {
  const name = `data set ${show(dataset.name)}: fingerprint()`;
  if (typeof dataset.fingerprint !== "function") throw badDtype(name, "a function", dataset.fingerprint);
  const hash: unknown = dataset.fingerprint();
  if (typeof hash === "string") return hash;
  throw badDtype(name, "a text", hash);
}
