import type { Tensor } from "../../tensor/tensor.js";
import type { FormatOption, LoadDataOptions, ResolvedLoading } from "../load_options.js";
import type { Preprocessing } from "../preprocessing/spec.js";
import type { RawData, RawPart } from "../raw_data.js";
import type { TextRecords } from "./text_records.js";

/**
 * A format of data sets. To add one, write a file with a `Format` and add it to `FORMATS`: detection, help texts and
 * errors, loading into memory, streaming and `predict` follow.
 */
export interface Format {
  readonly name: string;
  /** What a source of this format is, for help texts: "a .csv or .tsv file". */
  readonly help: string;
  /** The extensions of its files, in lower case. */
  readonly extensions: readonly string[];
  /** The format-specific options that it takes. */
  readonly takes: readonly FormatOption[];
  /** What a folder of this format contains, for errors; null if only files can have this format. */
  readonly folder: string | null;
  /** Whether a folder is of this format. */
  detect(folder: Folder): boolean | Promise<boolean>;
  /** Opens a file or folder; with `stream` its values stay on the disk. */
  open(path: string, options: OpenOptions): Promise<RawData>;
  /** The records of a file, if it is a table; the first may name the columns. */
  openRecords?(file: string, encoding?: string): Promise<CellRecords>;
  /** How a pair of its files, samples and labels, is read, if it has such pairs. */
  readonly pair?: PairReader;
  /** How new samples are read for `predict`, if they come in files of this format. */
  readonly samples?: SampleReader;
}

/** The records of a table as cells. */
export type CellRecords = TextRecords<readonly string[]>;

/** A folder's content. */
export interface Folder {
  readonly path: string;
  /** The names of its files. */
  readonly files: ReadonlySet<string>;
  /** The names of its folders. */
  readonly folders: readonly string[];
}

/** The options of formats. */
export interface OpenOptions extends Omit<ResolvedLoading, "testFraction" | "splitSeed"> {
  /** The preprocessing of the network that the samples are for. It encodes a table, which may have a single class. */
  readonly preprocessing?: Preprocessing;
}

/** Reads a file of samples, which stay on the disk, and a file of their labels; each may be of a format of its own. */
export interface PairReader {
  /** What a file is, for errors: "an IDX file". */
  readonly help: string;
  /** Whether a file that begins with these four bytes is one. */
  begins(head: Uint8Array): boolean;
  openSamples(file: string): Promise<Omit<RawPart, "labels">>;
  /** The labels in a file's bytes, one for each of `count` samples; `BAD_DATA` otherwise. */
  decodeLabels(bytes: Uint8Array, file: string, count: number): Promise<Int32Array>;
}

/** How a file of new samples is read. */
export interface SampleOptions extends Pick<LoadDataOptions, "encoding" | "exifOrientation" | "dropColumns"> {}

/** Reads new samples as the preprocessing of a network says, if its kind is one of `P`. */
export interface SampleReader<P extends Preprocessing = Preprocessing> {
  /** What its files are, for help texts and errors. */
  readonly help: string;
  /** The extensions of its files; "" means every other one. */
  readonly extensions: readonly string[];
  /** Whether its files can hold such samples. */
  accepts(spec: Preprocessing): spec is P;
  read(file: string, spec: P, options: SampleOptions): Promise<FileSamples>;
}

/** Samples out of a file, as a network takes them. */
export interface FileSamples {
  /** [n, features], or of images [n, channels, height, width]. */
  readonly inputs: Tensor;
  /** Where each sample is: the file, with its line or index if the file has several. */
  readonly locations: readonly string[];
  /**
   * For a table with its label column: the class of each row, -1 if the label is missing or no class; otherwise null.
   */
  readonly labels: Int32Array | null;
  /** How many of these rows have a label, known or not. */
  readonly labelled?: number;
  /**
   * For another task than classification: the targets [n, outputs] in the unit of their columns, NaN for a cell that is
   * no number.
   */
  readonly targets?: Float64Array;
  /** The texts whose ids the inputs are. */
  readonly texts?: readonly string[];
}

/** The locations of the samples of a file by their indices. */
export function numbered(file: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${file}, ${i}`);
}
