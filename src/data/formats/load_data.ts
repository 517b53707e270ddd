import { expectInteger, expectNumber, show } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { listFiles } from "../../files/index.js";
import type { Dataset } from "../dataset.js";
import { IDX_FILES } from "../hub/catalog.js";
import { DATASET_NAMES, datasetInfo, findData, notFound } from "../hub/locate.js";
import { USUAL } from "../statistics.js";
import { loadImages } from "./load_images.js";
import { expectImageSize, type PictureOptions } from "./pictures.js";
import { finish, type ReadSets } from "./read_sets.js";
import type { TableOptions } from "./table_header.js";

/** The options of {@link loadData}; those of another kind of source than the one that is found do nothing. */
export interface LoadDataOptions extends TableOptions, PictureOptions {
  /** Of a source without a test part: the share of each class that is set aside as one; default 0.2; 0: none is. */
  readonly testFraction?: number;
  /** The seed of that choice, which should stay while seeds of training change; default 0. */
  readonly splitSeed?: number;
  /**
   * Whether the values stay on the disk and are read in chunks, as {@link openStreamed} tells, for data that don't fit
   * into memory: IDX files that are not gzipped, CIFAR's, `.npy` files. Default false.
   */
  readonly stream?: boolean;
}

/** A data set in its two parts. */
export interface DataSets {
  readonly name: string;
  readonly train: Dataset;
  /** Null: the source has none and `testFraction` is 0. */
  readonly test: Dataset | null;
}

/**
 * Loads a data set, whatever its form: a name (`fashion-mnist`, `mnist`, `kmnist`, `cifar-10`, `cifar-100`), a file or a
 * folder.
 *
 * | source | what it holds |
 * |---|---|
 * | folder with four IDX files | grey images, see {@link loadImages} |
 * | folder with CIFAR's binary version | `data_batch_1.bin`, ..., or `train.bin` and `test.bin` |
 * | `.npz`, `.npy` or a folder of `.npy` | `x_train`, `y_train`, `x_test`, `y_test`; or `x` and `y`, `images` and `labels` |
 * | `.csv`, `.tsv` | rows of numbers and texts, one column the label; `NAME_test.csv` beside `NAME.csv` is the test part |
 * | folder of folders | PNG and JPEG images by class, or `train/` and `test/` with these |
 *
 * Pixels are normalised and columns standardised by what is measured over the rows trained on; {@link describeInputs}
 * keeps how. With `stream` the data sets are {@link StreamedDataset}s, or subsets of one, with the same values.
 *
 * Throws `NOT_FOUND` that lists what was looked for, `BAD_DATA` with the file and the line, index or byte, `IO_ERROR`,
 * `BAD_ARGUMENT`, also for data that can't be streamed.
 *
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
  const split = checkOptions(options);
  const found = await open(source, options);
  if ("train" in found) return found;
  const sets = await finish(found, split);
  return { name: sets.train.name, ...sets };
}

async function open(source: string, options: LoadDataOptions): Promise<ReadSets | DataSets> {
  // Only here: a program that loads a data set by its name need not load the readers of all formats.
  if (options.stream) {
    const { streamSource } = await import("../streamed/stream_source.js");
    return streamSource(source);
  }
  if (DATASET_NAMES.includes(source)) return loadKnown(source);
  const { openSource } = await import("./open_source.js");
  return openSource(source, options);
}

function checkOptions(options: LoadDataOptions) {
  const { labelColumn, header, imageSize, grey, testFraction = 0.2, splitSeed = 0, stream } = options;
  if (labelColumn !== undefined && typeof labelColumn !== "string")
    expectInteger("labelColumn", labelColumn, -(2 ** 31));
  for (const [name, value] of Object.entries({ header, grey, stream })) {
    if (value === undefined || typeof value === "boolean") continue;
    throw new DistilleryError("BAD_ARGUMENT", `${name}: expected true or false, got ${show(value)}`);
  }
  expectImageSize(imageSize);
  expectNumber("testFraction", testFraction, (x) => x >= 0 && x < 1, "a number from 0 to less than 1");
  expectInteger("splitSeed", splitSeed, 0);
  return { testFraction, splitSeed };
}

async function loadKnown(name: string): Promise<ReadSets | DataSets> {
  const known = datasetInfo(name);
  if (known.files === IDX_FILES) return loadImages(name);
  const found = await findData(name);
  if (found === null) throw notFound(name, known);
  const [{ readCifar }, { imageSets }] = await Promise.all([import("./cifar.js"), import("./image_sets.js")]);
  const images = await readCifar(found.folder, await listFiles(found.folder), name as "cifar-10" | "cifar-100");
  return imageSets(images, name, USUAL.get(name));
}
