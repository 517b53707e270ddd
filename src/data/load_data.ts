import { expectInteger, expectNumber, expectOptions, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { badData } from "../files/index.js";
import { type Dataset, indexRange } from "./dataset.js";
import { expectImageSize, type ImageOptions } from "./formats/decode_images.js";
import { detectFormat, FORMATS } from "./formats/index.js";
import { DATASET_NAMES, datasetInfo, findData, notFound } from "./hub/locate.js";
import { ImageDataset } from "./image_dataset.js";
import { type BuildOptions, type RawData, toDatasets } from "./raw_data.js";
import { stratify } from "./split.js";
import { Subset } from "./subset.js";
import type { TableOptions } from "./table.js";

/** The options of {@link loadData}; those of another format than the one that is found do nothing. */
export interface LoadDataOptions extends TableOptions, ImageOptions {
  /** For a source without a test part: the fraction of each class that is held out as one; default 0.2; 0: none is. */
  readonly testFraction?: number;
  /** The seed of that choice, which should stay while seeds of training change; default 0. */
  readonly splitSeed?: number;
  /** Whether the values stay on the disk and are read in chunks, for data that don't fit into memory; default false. */
  readonly stream?: boolean;
}

/** A data set in its parts. */
export interface DataSets {
  readonly name: string;
  readonly train: Dataset;
  /** Null if the source has none and `testFraction` is 0. */
  readonly test: Dataset | null;
  /** The source's own validation part, such as `val/` or `x_val`; null if it has none. */
  readonly validation: Dataset | null;
}

/** A data set of images in its two parts. */
export interface ImageSets extends Omit<DataSets, "validation"> {
  readonly train: ImageDataset;
  readonly test: ImageDataset;
}

/**
 * Loads a data set, whatever its form: a name (`fashion-mnist`, `mnist`, `kmnist`, `cifar-10`, `cifar-100`), a file or a
 * folder.
 *
 * | source | content |
 * |---|---|
 * | folder with four IDX files | grey images |
 * | folder with CIFAR's binary version | `data_batch_1.bin`, ..., or `train.bin` and `test.bin` |
 * | `.npz`, `.npy` or a folder of `.npy` | `x_train`, `y_train`, `x_val`, `y_val`, `x_test`, `y_test`; or `x` and `y`, `images` and `labels` |
 * | `.csv`, `.tsv` | rows of numbers and texts, one column the label; `NAME_test.csv` beside `NAME.csv` is the test part |
 * | folder of folders | PNG and JPEG images by class, or `train/`, `val/` (`valid/`, `validation/`) and `test/` with these |
 *
 * Pixels are normalised and columns standardised by what is measured over the training rows; {@link preprocessingOf}
 * keeps how. Data sets of the catalog have their usual normalisation. With `stream` the data sets are
 * {@link StreamedDataset}s, or subsets of one, with the same values.
 *
 * @throws DistilleryError `NOT_FOUND` that lists what was looked for, `BAD_DATA` with the file and the line, index or
 * byte, `IO_ERROR`, `BAD_ARGUMENT`, also for data that can't be streamed.
 * @example
 * ```ts
 * const { train, test } = await loadData("flowers.csv", { labelColumn: "species" });
 * ```
 */
export async function loadData(source: string, options: LoadDataOptions = {}): Promise<DataSets> {
  if (typeof source !== "string" || source === "" || source.includes("\0")) {
    const text = `source: expected a data set's name, a file or a folder, got ${show(source)}`;
    throw new DistilleryError("BAD_ARGUMENT", text);
  }
  const { stream = false } = options;
  const split = checkOptions(options);
  const { path, raw, ...build } = await openSource(source, { ...options, stream });
  return { name: build.name, ...(await splitRaw(raw, path, split, { ...build, stream })) };
}

/**
 * {@link loadData} for images in memory that come with a test part, such as Fashion-MNIST.
 *
 * @throws DistilleryError as {@link loadData} does, and `BAD_DATA` for other data.
 * @example
 * ```ts
 * const { train, test } = await loadImages("fashion-mnist");
 * const loader = new DataLoader(train, { batchSize: 64, shuffle: true });
 * ```
 */
export async function loadImages(source: "fashion-mnist" | "mnist" | "kmnist" | (string & {})): Promise<ImageSets> {
  const { name, train, test } = await loadData(source, { testFraction: 0 });
  if (train instanceof ImageDataset && test instanceof ImageDataset) return { name, train, test };
  throw badData(source, "expected images with a test part: loadData is for other data");
}

/** A source with its samples, before anything is measured. */
interface Source extends Pick<BuildOptions, "name" | "normalisation"> {
  /** For errors. */
  readonly path: string;
  readonly raw: RawData;
}

async function openSource(source: string, options: LoadDataOptions & { stream: boolean }): Promise<Source> {
  if (!DATASET_NAMES.includes(source)) {
    const { format, name } = await detectFormat(source, DATASET_NAMES);
    return { name, path: source, raw: await format.open(source, options) };
  }
  const info = datasetInfo(source);
  const found = await findData(source);
  if (found === null) throw notFound(source, info);
  const format = FORMATS.find(({ name }) => name === info.format);
  if (format === undefined) throw new Error(`no format is called ${info.format}`);
  const raw = await format.open(found.folder, options);
  const { normalisation, classNames } = info;
  const named = classNames?.length === raw.classes ? { ...raw, classNames } : raw;
  return { name: source, path: source, raw: named, normalisation };
}

/** The data sets of a source: with its own test part, or with a fraction of each class held out before it is measured. */
async function splitRaw(
  raw: RawData,
  path: string,
  { testFraction, splitSeed }: { testFraction: number; splitSeed: number },
  options: BuildOptions,
): Promise<Omit<DataSets, "name">> {
  const { labels } = raw.train;
  if (raw.test !== null || testFraction === 0) return toDatasets(raw, path, indexRange(0, labels.length), options);
  if (new Set(labels).size === labels.length) {
    throw badData(path, "no class has two samples, one of which could be held out for testing");
  }
  const { train: rows, heldOut } = stratify(labels, raw.classes, { fraction: testFraction, seed: splitSeed });
  const { train: whole, validation } = await toDatasets(raw, path, rows, options);
  return { train: new Subset(whole, rows), test: new Subset(whole, heldOut), validation };
}

const OPTIONS = [
  "labelColumn",
  "header",
  "missing",
  "imageSize",
  "grey",
  "testFraction",
  "splitSeed",
  "stream",
] as const;

function checkOptions(options: LoadDataOptions) {
  expectOptions("loadData", options, OPTIONS);
  const { labelColumn, header, missing, imageSize, grey, testFraction = 0.2, splitSeed = 0, stream } = options;
  if (labelColumn !== undefined && typeof labelColumn !== "string")
    expectInteger("labelColumn", labelColumn, -(2 ** 31));
  for (const [name, value] of Object.entries({ header, grey, stream })) {
    if (value === undefined || typeof value === "boolean") continue;
    throw new DistilleryError("BAD_ARGUMENT", `${name}: expected true or false, got ${show(value)}`);
  }
  if (missing !== undefined && missing !== "error" && missing !== "mean") {
    throw new DistilleryError("BAD_ARGUMENT", `missing: expected "error" or "mean", got ${show(missing)}`);
  }
  expectImageSize(imageSize);
  expectNumber("testFraction", testFraction, (x) => x >= 0 && x < 1, "a number from 0 to less than 1");
  expectInteger("splitSeed", splitSeed, 0);
  return { testFraction, splitSeed };
}
