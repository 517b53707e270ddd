import type { Dataset } from "../dataset.js";
import { ImageDataset, type ImageSize } from "../image_dataset.js";
import { measureChannels, type Normalisation } from "../statistics.js";
import type { ReadSets } from "./read_sets.js";

/** Images in bytes [n, channels, height, width] with their classes [n]. */
export interface ImagePart {
  readonly pixels: Uint8Array;
  readonly labels: Int32Array;
}

/** Images out of files, of one size. */
export interface FoundImages {
  /** The file or folder, for errors. */
  readonly source: string;
  readonly size: ImageSize;
  readonly classes: number;
  readonly classNames?: readonly string[];
  readonly train: ImagePart;
  readonly test: ImagePart | null;
}

/** The data sets of images, normalised by these numbers, or by those of the training rows. */
export function imageSets(found: FoundImages, name: string, normalisation?: Normalisation): ReadSets {
  const { source, size, classes, classNames, train, test } = found;
  const build = (rows: Int32Array): { train: Dataset; test: Dataset | null } => {
    const features = size.channels * size.height * size.width;
    const numbers = normalisation ?? measureChannels(train.pixels, size.channels, features, rows);
    const options = { name, image: size, classes, ...numbers, ...(classNames && { classNames }) };
    const part = ({ pixels, labels }: ImagePart) => new ImageDataset(pixels, labels, options);
    return { train: part(train), test: test && part(test) };
  };
  return { source, labels: train.labels, classes, hasTest: test !== null, build };
}
