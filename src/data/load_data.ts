import * as v from "valibot";
import { argumentError, expectObject, expectPath, show } from "../checks.js";
import { badData } from "../files/index.js";
import { type Dataset, NO_LABEL } from "./dataset.js";
import type { OpenOptions } from "./formats/format.js";
import { detectFormat, expectTaken, FORMATS } from "./formats/index.js";
import { conform, expectUndecided } from "./given_preprocessing.js";
import { DATASET_NAMES, datasetInfo, findData, notFound } from "./hub/locate.js";
import { ImageDataset } from "./image_dataset.js";
import {
  type ImageOptions,
  type LoadDataOptions,
  loadSchema,
  type ResolvedLoading,
  resolveLoading,
} from "./load_options.js";
import type { Preprocessing } from "./preprocessing/spec.js";
import { type BuildOptions, expectCells, type RawData, type RawPart, toDatasets } from "./raw_data.js";
import { stratify, subsetsOf } from "./split.js";
import { expectBothOrNone, givenNormalisation } from "./statistics.js";
import { layoutOf } from "./table_header.js";
import { indexRange } from "./take_batch.js";

/** Data that a network is to be evaluated on. */
interface ForNetwork {
  /**
   * How samples become values and which number each class has: a network's, as {@link readPreprocessing} gives it.
   * Default: measured over the training rows.
   */
  readonly preprocessing?: Preprocessing;
}

/** A data set in its parts. */
export interface DataSets {
  readonly name: string;
  readonly train: Dataset;
  /** Null if the source has none and `testFraction` is 0. */
  readonly test: Dataset | null;
  /** The source's own validation part, such as `val/`, `val.csv` or `x_val`; null if it has none. */
  readonly validation: Dataset | null;
}

/** A data set of images in its two parts. */
export interface ImageSets extends Omit<DataSets, "validation"> {
  readonly train: ImageDataset;
  /** A source without one is refused. */
  readonly test: ImageDataset;
}

/**
 * Loads a data set from a name (`fashion-mnist`, `mnist`, `kmnist`, `cifar-10`, `cifar-100`), a file or a folder.
 *
 * - A folder with four IDX files: grey images.
 * - A folder with CIFAR's binary version: `data_batch_1.bin`, ..., or `train.bin` and `test.bin`.
 * - `.npz`, `.npy`, or a folder of `.npy` files: `x_train`, `y_train`, `x_val`, `y_val`, `x_test`, `y_test`; or `x` and
 *   `y`, `images` and `labels`.
 * - `.csv`, `.tsv`: rows of numbers and texts. One column is the label, or several are the targets. `NAME_test.csv`
 *   beside `NAME.csv` is the test part, `NAME_val.csv` the validation part.
 * - `.jsonl`, `.ndjson`: the same, with an object on each line, whose keys are the columns.
 * - A folder of folders: PNG, JPEG, WebP, BMP and GIF images by class, or `train/`, `val/` (`valid/`, `validation/`)
 *   and `test/` with these.
 *
 * Pixels are normalised and columns standardised by the means and deviations of the training rows;
 * {@link preprocessingOf} returns these. Data sets with a name use their usual normalisation; `mean` and `std` replace
 * it. With `stream` the results are {@link StreamedDataset}s, or subsets of one, with the same values.
 *
 * @throws DistilleryError `NOT_FOUND` that lists what was looked for, `BAD_DATA` with the file and the line, index or
 * byte, `IO_ERROR`, `BAD_ARGUMENT`, also for data that can't be streamed.
 * @example
 * ```ts
 * const { train, test } = await loadData("flowers.csv", { labelColumn: "species" });
 * ```
 */
export async function loadData(source: string, options: LoadDataOptions & ForNetwork = {}): Promise<DataSets> {
  expectPath("source", source, "a data set's name, a file or a folder");
  expectObject("loadData", options);
  const { preprocessing, ...given } = options;
  const loading = resolveLoading(given);
  expectBothOrNone(loading);
  if (preprocessing !== undefined && loading.mean !== undefined) {
    throw argumentError("mean, std", "the network knows what it was trained with: leave them out");
  }
  if (preprocessing !== undefined) expectUndecided(given, preprocessing);
  const { stream, standardize } = loading;
  const network = preprocessing && { preprocessing };
  const opened = await openSource(source, { ...loading, ...imageOptionsOf(preprocessing), ...network }, given);
  const { path, ...build } = opened;
  if (preprocessing === undefined) expectCells(opened.raw, given, path);
  const normalisation = givenNormalisation(opened.raw.train, loading) ?? build.normalisation;
  const raw = preprocessing === undefined ? opened.raw : conform(opened.raw, preprocessing, path);
  return {
    name: build.name,
    ...(await splitRaw(raw, path, loading, { ...build, normalisation, stream, standardize, ...network })),
  };
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

/** Images are read in the size and with the channels that a network takes, turned as in its training. */
function imageOptionsOf(spec: Preprocessing | undefined): ImageOptions {
  if (spec?.kind !== "image") return {};
  const turned = spec.upright === true && { exifOrientation: true };
  return { imageSize: [spec.height, spec.width], grey: spec.channels === 1, ...turned };
}

/** A source with its samples, before anything is measured. */
interface Source extends Pick<BuildOptions, "name" | "normalisation"> {
  /** For errors. */
  readonly path: string;
  readonly raw: RawData;
}

async function openSource(source: string, options: OpenOptions, given: LoadDataOptions): Promise<Source> {
  if (!DATASET_NAMES.includes(source)) {
    const { format, name } = await detectFormat(source, DATASET_NAMES);
    expectTaken(format, given, source);
    return { name, path: source, raw: await format.open(source, options) };
  }
  const info = datasetInfo(source);
  const found = await findData(source);
  if (found === null) throw notFound(source, info);
  const format = FORMATS.find(({ name }) => name === info.format);
  if (format === undefined) throw new Error(`no format is called ${info.format}`);
  expectTaken(format, given, source);
  const raw = await format.open(found.folder, options);
  const { normalisation, classNames } = info;
  const named = classNames?.length === raw.classes ? { ...raw, classNames } : raw;
  return { name: source, path: source, raw: named, normalisation };
}

/** Advice for an error about classes: which column of the table they are from. */
function labelAdvice({ layout, table }: RawPart): string {
  const { label } = layout ?? (table === undefined ? { label: undefined } : layoutOf(table.header));
  return label === undefined
    ? ""
    : `: the label column is ${show(label.name)}; set labelColumn (--label-column) to use another`;
}

/**
 * The data sets of a source: with its own test part, or with a fraction of each class held out before it is measured.
 */
async function splitRaw(
  raw: RawData,
  path: string,
  { testFraction, splitSeed }: ResolvedLoading,
  options: BuildOptions,
): Promise<Omit<DataSets, "name">> {
  const isOther = raw.train.targets !== undefined;
  // Samples of other tasks count as one class.
  const labels = isOther ? new Int32Array(raw.train.labels.length) : raw.train.labels;
  const known = labels.filter((label) => label !== NO_LABEL);
  if (raw.test !== null && testFraction > 0 && testFraction !== v.getDefault(loadSchema.entries.testFraction)) {
    throw argumentError("testFraction", `${path} has a test part of its own, and none is held out: leave it out`);
  }
  // Samples without any label can't be tested on.
  if (raw.test !== null || testFraction === 0 || known.length === 0) {
    return toDatasets(raw, path, indexRange(0, labels.length), options);
  }
  if (new Set(known).size === known.length) {
    const text = isOther
      ? "expected at least two samples, to hold one out for testing, got 1"
      : `no class has two samples, one of which could be held out for testing${labelAdvice(raw.train)}`;
    throw badData(path, text);
  }
  const split = { fraction: testFraction, seed: splitSeed };
  const parts = stratify(labels, isOther ? 1 : raw.classes, split, known.length < labels.length);
  const { train: whole, validation } = await toDatasets(raw, path, parts.train, options);
  const { train, heldOut: test } = subsetsOf(whole, parts, split, "test");
  return { train, test, validation };
}
