import { createHash } from "node:crypto";
import { expectInteger, expectNumber } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import type { IntTensor } from "../tensor/int_tensor.js";
import { allocate } from "../tensor/memory.js";
import { currentGenerator } from "../tensor/random.js";
import { Tensor } from "../tensor/tensor.js";
import { chunkOf } from "./chunked_order.js";
import type { Batch, Dataset, ImageLayout } from "./dataset.js";
import { DerivedDataset } from "./derived_dataset.js";
import { expectDataset } from "./expect_dataset.js";

/** How {@link augment} changes examples: one of them at least. */
export interface AugmentOptions {
  /** Moved by up to so many whole pixels, up or down and left or right; what comes in is black. */
  shift?: number;
  /** The same by torchvision's name, `RandomCrop(size, padding=crop)`: one of the two. */
  crop?: number;
  /** The chance of being mirrored left to right, `RandomHorizontalFlip(p=flip)`. */
  flip?: number;
  /** The standard deviation of normal noise that is added to the (normalised) values. */
  noise?: number;
}

/**
 * The same examples, each time changed anew at random: for training data, not for validation or test data. All but
 * `noise` needs pictures ({@link Dataset.image}).
 *
 * Drawn from the current stream, example by example, as torchvision's transforms in this order would: two `randint` for
 * the place, a `rand` for the mirror, a `randn` for the noise. A run draws from a stream of its own, so its pictures
 * follow from its seed, resumed or not. A teacher's answers to such data can't be computed once and for all.
 *
 * @throws DistilleryError `BAD_ARGUMENT`, also where the data set has no pictures.
 * @example
 * ```ts
 * const { train, held } = splitDataset(data, { share: 0.1 });
 * await trainTeacher({ model, data: augment(train, { crop: 4, flip: 0.5 }), validation: held });
 * ```
 */
export function augment(dataset: Dataset, options: AugmentOptions): Dataset {
  return new AugmentedDataset(dataset, readAmounts(expectDataset(dataset), options));
}

/** How much of each; 0: none. */
interface Amounts {
  readonly reach: number;
  readonly flip: number;
  readonly noise: number;
}

class AugmentedDataset extends DerivedDataset {
  override readonly augmented = true;
  readonly #amounts: Amounts;
  readonly #shape: Pick<ImageLayout, "channels" | "height" | "width">;
  /** By channel: what a pixel of 0 is after normalisation, to the last bit. */
  readonly #black: Float32Array;

  constructor(dataset: Dataset, amounts: Amounts) {
    super(dataset);
    this.#amounts = amounts;
    const { image, features } = dataset;
    const { mean, std } = image ?? { mean: [0], std: [1] };
    // Noise alone does not ask what a row of values is.
    this.#shape = image ?? { channels: 1, height: 1, width: features };
    this.#black = Float32Array.from(mean).map((mean, channel) => (0 - mean) / Math.fround(std[channel] as number));
  }

  override get length(): number {
    return this.dataset.length;
  }

  override get labels(): IntTensor | undefined {
    return this.dataset.labels;
  }

  override chunkOf(index: number): number {
    return chunkOf(this.dataset, index);
  }

  override batch(indices: Int32Array): Batch {
    return this.#changed(this.dataset.batch(indices));
  }

  override slice(start: number, end: number): Batch {
    return this.#changed(this.dataset.slice(start, end));
  }

  protected override hash(base: string): string {
    return createHash("sha256")
      .update(`augmented ${JSON.stringify(this.#amounts)} of ${base}\n`)
      .digest("hex");
  }

  #changed(batch: Batch): Batch {
    const { data, shape } = batch.inputs;
    const { reach, flip, noise } = this.#amounts;
    const { channels, height, width } = this.#shape;
    const out = allocate(data.length);
    const { state } = currentGenerator();
    native.augment(state, data, this.#black, out, shape[0] as number, channels, height, width, reach, flip, noise);
    return { ...batch, inputs: new Tensor(out, shape) };
  }
}

function readAmounts({ image, features }: Dataset, options: AugmentOptions): Amounts {
  const { shift = 0, crop = 0, flip = 0, noise = 0 } = options;
  const most = image === undefined ? Number.MAX_SAFE_INTEGER : Math.min(image.height, image.width) - 1;
  expectInteger("shift", shift, 0, most);
  expectInteger("crop", crop, 0, most);
  expectNumber("flip", flip, (x) => x >= 0 && x <= 1, "a chance from 0 to 1");
  expectNumber("noise", noise, (x) => x >= 0 && Math.fround(x) < Infinity, "a standard deviation of at least 0");
  if (shift > 0 && crop > 0) {
    throw new DistilleryError("BAD_ARGUMENT", `shift, crop: expected one of the two, which are the same, got both`);
  }
  if (shift + crop + flip + noise === 0) {
    throw new DistilleryError("BAD_ARGUMENT", "augment: expected shift, crop, flip or noise above 0, got none");
  }
  if (shift + crop + flip > 0) expectPictures(image, features);
  return { reach: shift + crop, flip, noise };
}

function expectPictures(image: ImageLayout | undefined, features: number): void {
  if (image === undefined) {
    const text = "dataset: expected pictures (Dataset.image) for shift, crop and flip; only noise is for any data";
    throw new DistilleryError("BAD_ARGUMENT", text);
  }
  const { channels, height, width } = image;
  if (channels * height * width === features) return;
  const size = `${channels} x ${height} x ${width}`;
  throw new DistilleryError("BAD_ARGUMENT", `dataset: expected pictures of ${size}, got ${features} values`);
}
