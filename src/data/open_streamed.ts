import { basename } from "node:path";
import { badArgument, expectInteger, expectLength, expectOptions, expectPath, type Optional } from "../checks.js";
import { badData, openSliced, readHead, readWhole } from "../files/index.js";
import { CIFAR_VERSIONS, type Cifar, openCifar } from "./formats/cifar.js";
import type { PairReader } from "./formats/format.js";
import { FORMATS } from "./formats/index.js";
import { countClasses, expectClassNames } from "./labels.js";
import { type RawPart, toDatasets } from "./raw_data.js";
import { expectBothOrNone, givenNormalisation, type Normalisation } from "./statistics.js";
import type { StreamedDataset } from "./streamed_dataset.js";
import { indexRange } from "./take_batch.js";
import type { DatasetOptions } from "./tensor_dataset.js";

/**
 * Files whose samples are read piece by piece, not compressed: a pair of IDX files, a pair of `.npy` files (of two axes
 * or more in C order), or files of CIFAR's records.
 */
export type StreamedFiles =
  | { readonly inputs: string; readonly labels: string }
  | { readonly format: Cifar; readonly files: readonly string[] };

/** The options of {@link openStreamed}. */
export interface StreamOptions
  extends Pick<DatasetOptions, "classes" | "classNames" | "name">,
    Optional<Normalisation> {
  /** About the bytes that are read at once; default 8 MiB. At most four times as many are in memory. */
  chunkBytes?: number;
}

/**
 * A data set that need not fit into memory: its samples stay on the disk, and are read in chunks when they are needed.
 * Bytes are pixels and become (pixel / 255 - mean) / std, by the given numbers or the files' own; the columns of a
 * matrix of other numbers are standardised by their own, those of more axes are taken as they are. The values are those
 * of the data set in memory. {@link loadData} with `stream` finds the files of a whole data set.
 *
 * A shuffling {@link DataLoader} takes the chunks in a random order, and the samples inside each in one. Samples of
 * different chunks do not mix: shuffle files that are sorted by class once before. Opening reads all once, to check and
 * to measure; nothing has to be closed.
 *
 * @throws DistilleryError `NOT_FOUND`, `IO_ERROR`, `BAD_ARGUMENT`, and `BAD_DATA` with the file and the location, also
 * if a file changes after it was opened, and for a class below the highest without a sample unless `classes` or
 * `classNames` are given.
 * @example
 * ```ts
 * const data = await openStreamed({ inputs: "x_train.npy", labels: "y_train.npy" });
 * const { train, heldOut } = splitDataset(data, { fraction: 0.1 });
 * await trainTeacher({ model, data: train, validation: heldOut, epochs: 10 });
 * ```
 */
export async function openStreamed(source: StreamedFiles, options: StreamOptions = {}): Promise<StreamedDataset> {
  expectOptions("openStreamed", options, ["chunkBytes", "mean", "std", "classes", "classNames", "name"]);
  const { chunkBytes, mean, std, classNames } = options;
  if (chunkBytes !== undefined) expectInteger("chunkBytes", chunkBytes, 1, 2 ** 30);
  expectBothOrNone({ mean, std });
  const { part, path, labelsAt, classes: known } = await openFiles(source);
  const name = options.name ?? basename(path);
  if (typeof name !== "string") throw badArgument("name", "a text", name);
  const classes = classesOf(part.labels, labelsAt, known, options);
  const normalisation = givenNormalisation(part, { mean, std });
  const raw = { train: part, test: null, classes, classNames: expectClassNames(classNames, classes) };
  const all = indexRange(0, part.rows.length);
  const { train } = await toDatasets(raw, path, all, { name, stream: true, chunkBytes, normalisation });
  return train as StreamedDataset;
}

interface OpenedFiles {
  readonly part: RawPart;
  readonly path: string;
  /** The file of the labels, for errors. */
  readonly labelsAt: string;
  /** The number of classes if the format says it. */
  readonly classes: number | null;
}

async function openFiles(source: StreamedFiles): Promise<OpenedFiles> {
  if ("inputs" in Object(source) && "inputs" in source) {
    expectOptions("source", source, ["inputs", "labels"]);
    const [inputs, labels] = [expectPath("inputs", source.inputs), expectPath("labels", source.labels)];
    return { part: await openPair(inputs, labels), path: inputs, labelsAt: labels, classes: null };
  }
  const { format, files } = Object(source) as Partial<Exclude<StreamedFiles, { inputs: string }>>;
  if (format === undefined || !Object.hasOwn(CIFAR_VERSIONS, format)) {
    throw badArgument("source", "inputs and labels, or a format (cifar-10, cifar-100) and files", source);
  }
  expectOptions("source", source, ["format", "files"]);
  if (!Array.isArray(files) || files.length === 0) {
    throw badArgument("files", "a list of paths", files);
  }
  const paths = Array.from(files, (file, i) => expectPath(`files[${i}]`, file));
  const part = await openCifar(format, paths, true);
  return { part, path: paths[0], labelsAt: paths.join(", "), classes: CIFAR_VERSIONS[format].classes };
}

/** A pair of files, each of the format that its first bytes say. */
async function openPair(inputs: string, labels: string): Promise<RawPart> {
  const part = await readerOf(inputs, readHead(await openSliced(inputs), HEAD)).openSamples(inputs);
  const bytes = await readWhole(labels);
  const { decodeLabels } = readerOf(labels, bytes.subarray(0, HEAD));
  return { ...part, labels: await decodeLabels(bytes, labels, part.rows.length) };
}

/** The bytes that say a format. */
const HEAD = 4;

function readerOf(file: string, head: Uint8Array): PairReader {
  const readers = FORMATS.flatMap(({ pair }) => pair ?? []);
  const found = readers.find((reader) => reader.begins(head));
  if (found !== undefined) return found;
  const start = head.length === 0 ? "it is empty" : `it begins with ${Buffer.from(head).toString("hex")}`;
  throw badData(file, `expected ${readers.map(({ help }) => help).join(" or ")}: ${start}`);
}

/** The number of classes in the options, in the format, or as the labels show, all of which have a sample then. */
function classesOf(labels: Int32Array, file: string, known: number | null, options: DatasetOptions): number {
  const { classNames, classes = expectClassNames(classNames)?.length ?? known } = options;
  if (classes === null) return countClasses(labels, file, "number them from 0 on, or give their number as classes");
  expectLength("classes", classes);
  const wrong = labels.findIndex((label) => label >= classes);
  if (wrong < 0) return classes;
  throw badData(file, `label ${wrong}: expected a class from 0 to ${classes - 1}, got ${labels[wrong]}`);
}
