import type { IntTensor } from "../tensor/int_tensor.js";
import type { Tensor } from "../tensor/tensor.js";

/**
 * Labelled examples that a {@link DataLoader} takes batches from: `torch.utils.data.Dataset`, a batch at a time. Own data
 * sets implement it, or put their arrays into a {@link TensorDataset}.
 */
export interface Dataset {
  /** What logs call it: `synthetic`, `fashion-mnist`, the name of the folder. */
  readonly name: string;
  /** The number of examples. */
  readonly length: number;
  /** The number of values of one example. */
  readonly features: number;
  /** The number of classes: labels are 0 to `classes - 1`. */
  readonly classes: number;
  /** Whether the values of an example change at random from call to call; default false. */
  readonly augmented?: boolean;
  /** The names of the classes, in their order; default: their numbers. */
  readonly classNames?: readonly string[];
  /** The class of every example, where that is at hand: a split then reads no values. */
  readonly labels?: IntTensor;
  /** Of images: how the values of an example are laid out, and what makes them pixels again. */
  readonly image?: ImageLayout;
  /** Of a table's rows: what its columns are, and what standardised them. */
  readonly table?: TableLayout;
  /** Where neighbours are read together: so many that a shuffling {@link DataLoader} keeps together, too. */
  readonly chunk?: number;
  /** With `chunk`: the number of the chunk that an example is read with; default: `index / chunk`, rounded down. */
  chunkOf?(index: number): number;
  /** The examples of these indices, in their order. */
  batch(indices: Int32Array): Batch;
  /** The examples `start` to `end` (not included). */
  slice(start: number, end: number): Batch;
  /** SHA-256 in hex over the values, the labels and the normalisation: ties caches and checkpoints to the data. */
  fingerprint(): string;
}

/** Images as rows of values: channel after channel, each row by row, as PyTorch flattens [channels, height, width]. */
export interface ImageLayout {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** By channel: a value is (pixel / 255 - mean) / std. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** A table whose rows became rows of values, column after column. */
export interface TableLayout {
  /** In the order of the values. */
  readonly columns: readonly TableColumn[];
  /** The column of the classes: its name and its place, counted from 0. */
  readonly label: { readonly name: string; readonly place: number };
  /** Whether the first line of its file named the columns; otherwise their names are their places. */
  readonly header: boolean;
}

/**
 * A column of numbers, each of which becomes (x - mean) / std; or one of texts, which becomes a value for each category,
 * 1 where the cell has its text and 0 otherwise (one-hot).
 */
export type TableColumn =
  | { readonly name: string; readonly mean: number; readonly std: number }
  | { readonly name: string; readonly categories: readonly string[] };

/** Some examples of a {@link Dataset}. */
export interface Batch {
  /** [n, features]. */
  readonly inputs: Tensor;
  /** [n]. */
  readonly labels: IntTensor;
  /** Where each stands in the data set. */
  readonly indices: Int32Array;
}
