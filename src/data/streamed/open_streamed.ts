import { basename } from "node:path";
import { expectInteger, show } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { badData } from "../../files/index.js";
import { expectClassNames, indexRange } from "../dataset.js";
import { expectChannels } from "../image_dataset.js";
import type { Normalisation } from "../statistics.js";
import type { DatasetOptions } from "../tensor_dataset.js";
import { openCifar, openPair, type RowFormat } from "./stream_formats.js";
import { type Scan, scan } from "./stream_scan.js";
import { StreamedDataset } from "./streamed_dataset.js";

/**
 * Files whose examples are read piece by piece, not compressed: a pair of IDX files, a pair of `.npy` files (examples
 * `|u1` or `<f4` in C order, of two axes or more), or files of CIFAR's records.
 */
export type StreamedFiles =
  | { readonly inputs: string; readonly labels: string }
  | { readonly format: "cifar-10" | "cifar-100"; readonly files: readonly string[] };

/** The options of {@link openStreamed}. */
export interface StreamOptions extends DatasetOptions, Partial<Normalisation> {
  /** About how many bytes are read at once; default 8 MiB. Four times as many are in memory at most. */
  chunkBytes?: number;
}

const CHUNK_BYTES = 2 ** 23;

/**
 * A data set that need not fit into memory: its rows stay on the disk, and are read in chunks where they are asked for.
 * Bytes are pixels and become (pixel / 255 - mean) / std, by the given numbers or the files' own; floats are taken as
 * they are. The values are those of the data set in memory.
 *
 * A shuffling {@link DataLoader} takes the chunks in a random order, and the rows inside of each in one. Rows of
 * different chunks do not mix: files that are sorted by class are to be shuffled once before. Opening reads all once, to
 * check and to measure; nothing has to be closed.
 *
 * @throws DistilleryError `NOT_FOUND`, `IO_ERROR`, `BAD_ARGUMENT`, and `BAD_DATA` with the file and the place, also where
 * a file changes after it was opened.
 * @example
 * ```ts
 * const data = await openStreamed({ inputs: "x_train.npy", labels: "y_train.npy" });
 * const { train, held } = splitDataset(data, { share: 0.1 });
 * await trainTeacher({ model, data: train, validation: held, epochs: 10 });
 * ```
 */
export async function openStreamed(source: StreamedFiles, options: StreamOptions = {}): Promise<StreamedDataset> {
  const { chunkBytes = CHUNK_BYTES, mean, std } = options;
  expectInteger("chunkBytes", chunkBytes, 1, 2 ** 30);
  if ((mean === undefined) !== (std === undefined)) {
    throw new DistilleryError("BAD_ARGUMENT", "mean, std: expected both or none, got one of them");
  }
  const { format, path } = await openFiles(source);
  if (format.type === "f4" && mean !== undefined) {
    throw new DistilleryError("BAD_ARGUMENT", "mean, std: expected them for bytes only: floats are taken as they are");
  }
  return openRows(format, { ...options, name: expectName(options.name ?? basename(path)) });
}

/** The data set of files that were opened; `measured`: the ascending rows that say mean and deviation; default: all. */
export async function openRows(
  format: RowFormat,
  options: StreamOptions & { name: string },
  measured?: Int32Array,
): Promise<StreamedDataset> {
  const { name, chunkBytes = CHUNK_BYTES, classNames, mean, std } = options;
  expectInteger("the number of rows", format.files.length, 1, 2 ** 31 - 1);
  expectInteger("the values of a row", format.features, 1, 2 ** 31 - 1);
  const numbers = givenNumbers(format, { mean, std });
  const chunk = Math.max(1, Math.floor(chunkBytes / format.files.stride));
  const rows = numbers === null ? (measured ?? indexRange(0, format.files.length)) : null;
  const { labels, moments, sha256 } = await scan(format, chunk, rows);
  const classes = countClasses(labels, format, options);
  return new StreamedDataset({
    ...{ format, labels, classes, chunk, sha256, ...(numbers ?? numbersOf(moments)) },
    name,
    classNames: expectClassNames(classNames, classes),
  });
}

async function openFiles(source: StreamedFiles): Promise<{ format: RowFormat; path: string }> {
  if ("inputs" in Object(source) && "inputs" in source) {
    const { inputs, labels } = source;
    return { format: await openPair(expectPath("inputs", inputs), expectPath("labels", labels)), path: inputs };
  }
  const { format, files } = Object(source) as Partial<Exclude<StreamedFiles, { inputs: string }>>;
  if (format !== "cifar-10" && format !== "cifar-100") {
    const text = "source: expected inputs and labels, or a format (cifar-10, cifar-100) and files";
    throw new DistilleryError("BAD_ARGUMENT", `${text}, got ${show(source)}`);
  }
  if (!Array.isArray(files) || files.length === 0) {
    throw new DistilleryError("BAD_ARGUMENT", `files: expected a list of paths, got ${show(files)}`);
  }
  const paths = files.map((file, i) => expectPath(`files[${i}]`, file));
  return { format: await openCifar(format, paths), path: paths[0] as string };
}

type Numbers = { mean: readonly number[] | null; std: readonly number[] | null };

/** The numbers for each channel where they are given; null where they are to be measured. */
function givenNumbers({ image, type }: RowFormat, { mean, std }: Partial<Normalisation>): Numbers | null {
  if (type === "f4") return { mean: null, std: null };
  if (mean === undefined || std === undefined) return null;
  const channels = image?.channels ?? 1;
  return {
    mean: expectChannels("mean", mean, channels, () => true, "a finite number"),
    std: expectChannels("std", std, channels, (x) => Math.fround(x) > 0, "a number above 0"),
  };
}

function numbersOf(moments: Scan["moments"]): Numbers {
  return { mean: moments?.map(({ mean }) => mean) ?? null, std: moments?.map(({ std }) => std) ?? null };
}

/** As many as told, as the format has, or as the labels show. */
function countClasses(labels: Int32Array, { labelsAt, classes: known }: RowFormat, options: DatasetOptions): number {
  const { classNames, classes = expectClassNames(classNames)?.length ?? known } = options;
  if (classes === null) return labels.reduce((a, b) => Math.max(a, b), 0) + 1;
  expectInteger("classes", classes, 1, 2 ** 31 - 1);
  const wrong = labels.findIndex((label) => label >= classes);
  if (wrong < 0) return classes;
  throw badData(labelsAt, `label ${wrong}: expected a class from 0 to ${classes - 1}, got ${labels[wrong]}`);
}

function expectPath(name: string, path: unknown): string {
  if (typeof path === "string" && path !== "" && !path.includes("\0")) return path;
  throw new DistilleryError("BAD_ARGUMENT", `${name}: expected the path of a file, got ${show(path)}`);
}

function expectName(name: unknown): string {
  if (typeof name === "string") return name;
  throw new DistilleryError("BAD_ARGUMENT", `name: expected a text, got ${show(name)}`);
}
