import { types } from "node:util";
import { badArgument, badDtype, expectFlags, expectInteger, expectOptions, expectShape, isObject } from "../checks.js";
import { native } from "../native.js";
import type { ImageLayout } from "./dataset.js";
import { expectNormalisation, type Normalisation } from "./statistics.js";
import type { GivenLabels } from "./targets.js";
import { DATASET_OPTIONS, type DatasetOptions, InMemoryDataset } from "./tensor_dataset.js";

/** The channels, rows and columns of an image, and whether it was turned upright. */
export type ImageSize = Omit<ImageLayout, keyof Normalisation>;

/** The options of an {@link ImageDataset}: one of `features` and `image` at least. */
export interface ImageDatasetOptions extends DatasetOptions, Normalisation {
  /** The number of values of one image; default: those of `image`. */
  features?: number;
  /** The layout of the values; default: rows and columns are not known, and there is one channel. */
  image?: ImageSize;
}

/**
 * Images in bytes, not copied, [length, features]: channel after channel, each row by row; with labels [n]. Batches
 * hold (pixel / 255 - mean) / std, as torchvision's `ToTensor` and `Normalize` compute it: [n, channels, height,
 * width], or [n, features] if rows and columns are not known.
 *
 * @example
 * ```ts
 * const image = { channels: 1, height: 1, width: 2 };
 * const dataset = new ImageDataset(Uint8Array.of(0, 255), Int32Array.of(0), { image, mean: 0.5, std: 0.5 });
 * dataset.slice(0, 1).inputs.toArray(); // [[[[-1, 1]]]]
 * ```
 */
export class ImageDataset extends InMemoryDataset implements Normalisation {
  /** [length, features]. */
  readonly pixels: Uint8Array;
  /** As given: one number for all channels, or one for each. */
  readonly mean: number | readonly number[];
  readonly std: number | readonly number[];
  readonly image?: ImageLayout;
  readonly #mean: Float32Array;
  readonly #std: Float32Array;

  constructor(pixels: Uint8Array, labels: GivenLabels, options: ImageDatasetOptions) {
    if (!types.isUint8Array(pixels)) {
      throw badDtype("pixels", "a Uint8Array", pixels);
    }
    expectOptions("ImageDataset", options, ["features", "image", "mean", "std", ...DATASET_OPTIONS]);
    const { image, mean, std, name = "images" } = options;
    const features = expectFeatures(options);
    const size = Math.ceil(pixels.length / features);
    expectShape("pixels", [pixels.length], [size * features]);
    const channels = image?.channels ?? 1;
    const shape = image === undefined ? [features] : [channels, image.height, image.width];
    super(size, shape, labels, { ...options, name });
    const normalisation = expectNormalisation({ mean, std }, channels);
    this.pixels = pixels;
    this.mean = mean;
    this.std = std;
    if (image !== undefined) {
      const { height, width, upright } = image;
      if (upright !== undefined) expectFlags({ upright });
      this.image = { channels, height, width, ...(upright !== undefined && { upright }), ...normalisation };
    }
    this.#mean = Float32Array.from(normalisation.mean);
    this.#std = Float32Array.from(normalisation.std);
  }

  protected override gather(indices: Int32Array, out: Float32Array): void {
    native.gatherBytes(this.pixels, indices, out, this.length, this.features, this.#mean, this.#std);
  }

  protected override content() {
    return { kind: `uint8, mean ${this.mean}, std ${this.std}`, values: this.pixels };
  }
}

/** The number of values of an image. */
function expectFeatures({ features, image }: ImageDatasetOptions): number {
  if (image === undefined) return expectInteger("features", features, 1, 2 ** 31 - 1);
  if (!isObject(image)) throw badArgument("image", "{ channels, height, width }", image);
  const lengths = (["channels", "height", "width"] as const).map((axis) =>
    expectInteger(`image.${axis}`, image[axis], 1, 2 ** 31 - 1),
  );
  const product = expectInteger(
    "the values of an image",
    lengths.reduce((a, b) => a * b),
    1,
    2 ** 31 - 1,
  );
  if (features !== undefined && features !== product) {
    throw badArgument("features", `${product}, as an image of [${lengths.join(", ")}] has`, features);
  }
  return product;
}
