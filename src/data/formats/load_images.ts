import { show } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { badData, readWhole } from "../../files/index.js";
import { ImageDataset } from "../image_dataset.js";
import { measure } from "../statistics.js";
import { usualNames } from "./class_names.js";
import { decodeIdx, type Idx } from "./idx.js";
import { findImages } from "./image_files.js";
import { expectSeen, ON_DISK } from "./read_sets.js";

/** A data set of images in its two parts. */
export interface ImageSets {
  readonly name: string;
  readonly train: ImageDataset;
  readonly test: ImageDataset;
}

/**
 * Loads the four IDX files of the MNIST family, plain or gzipped: `fashion-mnist`, `mnist` and `kmnist` where
 * {@link findData} finds them; anything else is a folder.
 *
 * Pixels are normalised with the usual numbers of these, otherwise with the training set's own mean and standard
 * deviation; so are the test set's. Throws `NOT_FOUND`, which says how to get the data, `IO_ERROR`, and `BAD_DATA` for
 * files that are damaged or do not fit together.
 *
 * @example
 * ```ts
 * const { train, test } = await loadImages("fashion-mnist");
 * const loader = new DataLoader(train, { batchSize: 64, shuffle: true });
 * ```
 */
export async function loadImages(source: "fashion-mnist" | "mnist" | "kmnist" | (string & {})): Promise<ImageSets> {
  if (typeof source !== "string" || source === "" || source.includes("\0")) {
    throw new DistilleryError("BAD_ARGUMENT", `source: expected a data set's name or a folder, got ${show(source)}`);
  }
  const { name, paths, normalisation } = await findImages(source);
  const [train, test] = await Promise.all([
    readPair(paths.trainImages, paths.trainLabels),
    readPair(paths.testImages, paths.testLabels),
  ]);
  expectSameSize(train, test);
  expectSeen(train.labels.data, test.labels.data, test.labelsFile);
  const { mean, std } = normalisation ?? measure(train.images.data);
  const classes = train.labels.data.reduce((a, b) => Math.max(a, b)) + 1;
  const [height, width] = train.images.shape.slice(1) as [number, number];
  const classNames = source === name ? usualNames(name, classes) : undefined;
  const options = {
    name,
    image: { channels: 1, height, width },
    classes,
    mean,
    std,
    ...(classNames && { classNames }),
  };
  const part = ({ images, labels }: Pair) => new ImageDataset(images.data, Int32Array.from(labels.data), options);
  return { name, train: part(train), test: part(test) };
}

interface Pair {
  readonly images: Idx;
  readonly labels: Idx;
  readonly imagesFile: string;
  readonly labelsFile: string;
}

async function readPair(imagesFile: string, labelsFile: string): Promise<Pair> {
  const read = async (file: string, rank: number) => decodeIdx(await readWhole(file, ON_DISK), file, rank);
  const [images, labels] = await Promise.all([read(imagesFile, 3), read(labelsFile, 1)]);
  const [expected, got] = [images.shape[0], labels.shape[0]];
  if (got !== expected)
    throw badData(labelsFile, `expected ${expected} labels, one an image of ${imagesFile}, got ${got}`);
  return { images, labels, imagesFile, labelsFile };
}

function expectSameSize(train: Pair, test: Pair): void {
  const [expected, got] = [train, test].map(({ images }) => images.shape.slice(1).join(" x "));
  if (got !== expected) throw badData(test.imagesFile, `expected images of ${expected}, as for training, got ${got}`);
}
