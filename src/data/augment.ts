import { createHash } from "node:crypto";
import { argumentError, expectFraction, expectInteger, expectNumber, expectOptions } from "../checks.js";
import { native } from "../native.js";
import { add, indexSelect, mul } from "../ops/index.js";
import { noGrad } from "../tensor/autograd.js";
import { allocate } from "../tensor/buffer_pool.js";
import { IntTensor } from "../tensor/int_tensor.js";
import { currentGenerator, rand, randn, randperm } from "../tensor/random.js";
import { Tensor } from "../tensor/tensor.js";
import { type Batch, chunkOf, type Dataset, expectDataset, type ImageLayout } from "./dataset.js";
import { DerivedDataset } from "./derived_dataset.js";
import { textColumnOf } from "./preprocessing/spec.js";
import { takeBatch, takeSlice } from "./take_batch.js";

/** The largest alpha. The weight's mean is 0.5, its deviation 0.5 / sqrt(2 alpha + 1), which is 0.0004 for 1e6. */
export const MAX_MIXUP = 1e6;

/** How {@link augment} changes samples: at least one of them. */
export interface AugmentOptions {
  /** The most whole pixels that an image is moved up, down, left or right; black pixels come in. */
  shift?: number;
  /** `shift` by torchvision's name, `RandomCrop(size, padding=crop)`: give one of the two. */
  crop?: number;
  /** The probability of a mirror image, left to right, `RandomHorizontalFlip(p=flip)`. */
  flip?: number;
  /** The standard deviation of normal noise that is added to the (normalised) values. */
  noise?: number;
  /**
   * Mixes the samples of a batch with each other ({@link Batch.mixed}) by a weight drawn from Beta(mixup, mixup). With
   * 1 all weights are equally likely; with less, most are close to 0 or 1. The losses with the labels of both samples
   * are mixed by the same weight.
   */
  mixup?: number;
}

/**
 * A data set with the same samples, changed at random each time that they are taken. Use it for training data, not for
 * validation or test data. `shift`, `crop` and `flip` need images ({@link Dataset.image}).
 *
 * The numbers are drawn from the current stream, sample by sample, as torchvision's transforms in this order draw them:
 * two `randint` for the shift, a `rand` for the mirror, a `randn` for the noise; for `mixup` afterwards a weight and an
 * order of the batch. A run draws from a stream of its own, so its images follow from its seed, resumed or not. Teacher
 * logits can't be cached for augmented data.
 *
 * @throws DistilleryError `BAD_ARGUMENT`, also if the data set has no images.
 * @example
 * ```ts
 * const { train, heldOut } = splitDataset(data, { fraction: 0.1 });
 * await trainTeacher({ model, data: augment(train, { crop: 4, flip: 0.5 }), validation: heldOut });
 * ```
 */
export function augment(dataset: Dataset, options: AugmentOptions): Dataset {
  return new AugmentedDataset(dataset, readAmounts(expectNumbers(expectDataset(dataset)), options));
}

/**
 * Refuses augmented data for a purpose that needs the samples themselves.
 */
export function expectUnaugmented(name: string, { augmented }: Dataset): void {
  if (augmented !== true) return;
  const text = "is augmented at random: give the samples as they are (split first, then augment the training part)";
  throw argumentError(name, text);
}

/** The amount of each change; 0: none. */
interface Amounts {
  readonly maxShift: number;
  readonly flip: number;
  readonly noise: number;
  /** Left out if samples are not mixed. */
  readonly mixup?: number;
}

/** Refuses texts: a changed id would be another word. */
function expectNumbers(dataset: Dataset): Dataset {
  if (textColumnOf(dataset) === null) return dataset;
  throw argumentError("augment", `${dataset.name} has texts, which are ids: they can't be shifted or mixed`);
}

class AugmentedDataset extends DerivedDataset {
  override readonly augmented = true;
  override readonly mixed?: boolean;
  readonly #amounts: Amounts;
  readonly #layout: Pick<ImageLayout, "channels" | "height" | "width">;
  /** The value of a black pixel after normalisation, by channel. */
  readonly #fill: Float32Array;

  constructor(dataset: Dataset, amounts: Amounts) {
    super(dataset);
    this.#amounts = amounts;
    this.mixed = dataset.mixed === true || amounts.mixup !== undefined;
    const { image, features } = dataset;
    const { mean, std } = image ?? { mean: [0], std: [1] };
    // Noise alone needs no layout.
    this.#layout = image ?? { channels: 1, height: 1, width: features };
    this.#fill = Float32Array.from(mean).map((mean, channel) => (0 - mean) / Math.fround(std[channel]));
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
    return this.#transform(takeBatch(this.dataset, indices));
  }

  override slice(start: number, end: number): Batch {
    return this.#transform(takeSlice(this.dataset, start, end));
  }

  protected override hash(base: string): string {
    return createHash("sha256")
      .update(`augmented ${JSON.stringify(this.#amounts)} of ${base}\n`)
      .digest("hex");
  }

  #transform(batch: Batch): Batch {
    const { data, shape } = batch.inputs;
    const { maxShift, flip, noise, mixup } = this.#amounts;
    const mixed = (changed: Batch) => (mixup === undefined ? changed : mixUp(changed, mixup));
    if (maxShift + flip + noise === 0) return mixed(batch);
    const { channels, height, width } = this.#layout;
    const out = allocate(data.length);
    const { state } = currentGenerator();
    native.augment(state, data, this.#fill, out, shape[0], channels, height, width, maxShift, flip, noise);
    return mixed({ ...batch, inputs: new Tensor(out, shape) });
  }
}

function readAmounts({ image, features }: Dataset, options: AugmentOptions): Amounts {
  expectOptions("augment", options, ["shift", "crop", "flip", "noise", "mixup"]);
  const { shift = 0, crop = 0, flip = 0, noise = 0, mixup = 0 } = options;
  const max = image === undefined ? Number.MAX_SAFE_INTEGER : Math.min(image.height, image.width) - 1;
  expectInteger("shift", shift, 0, max);
  expectInteger("crop", crop, 0, max);
  expectFraction("flip", flip);
  expectNumber("noise", noise, (x) => x >= 0 && Math.fround(x) < Infinity, "a standard deviation of at least 0");
  expectNumber("mixup", mixup, (x) => x >= 0 && x <= MAX_MIXUP, `a number from 0 to ${MAX_MIXUP}`);
  if (shift > 0 && crop > 0) {
    throw argumentError("shift, crop", "expected one of the two, which are the same, got both");
  }
  if (shift + crop + flip + noise + mixup === 0) {
    throw argumentError("augment", "expected shift, crop, flip, noise or mixup above 0, got none");
  }
  if (shift + crop + flip > 0) expectImages(image, features);
  return { maxShift: shift + crop, flip, noise, ...(mixup > 0 && { mixup }) };
}

function expectImages(image: ImageLayout | undefined, features: number): void {
  if (image === undefined) {
    const text = "expected images for shift, crop and flip; only noise and mixup suit any data";
    throw argumentError("dataset", text);
  }
  const { channels, height, width } = image;
  if (channels * height * width === features) return;
  const size = `${channels} x ${height} x ${width}`;
  throw argumentError("dataset", `expected images of ${size}, got ${features} values`);
}

/**
 * A batch whose samples are mixed with each other (mixup: Zhang et al., 2018): each becomes w times itself and 1 - w
 * times another one, in a random order of the batch. w is drawn from Beta(alpha, alpha), one for the batch, and the
 * order after it, both from the current stream, as the authors' code has it. big_vision, for its "patient and
 * consistent" teachers, takes the next one of the batch and the larger of w and 1 - w.
 */
function mixUp(batch: Batch, alpha: number): Batch {
  const { inputs, labels, targets } = batch;
  const weight = symmetricBeta(alpha);
  const others = randperm(inputs.shape[0]).data;
  const mix = (x: Tensor) => noGrad(() => add(mul(x, weight), mul(indexSelect(x, 0, others), 1 - weight)));
  const second = new IntTensor(others.map((other) => labels.data[other]));
  return {
    ...batch,
    inputs: mix(inputs),
    ...(targets && { targets: mix(targets) }),
    mixed: { labels: second, weight },
  };
}

/** Draws from Beta(alpha, alpha): X / (X + Y), both drawn from Gamma(alpha). */
export function symmetricBeta(alpha: number): number {
  const [x, y] = [logGamma(alpha), logGamma(alpha)];
  // With an alpha near 0 both logarithms are -infinity, but one of the numbers is still far above the other.
  if (x === y && !Number.isFinite(x)) return uniform() < 0.5 ? 0 : 1;
  return 1 / (1 + Math.exp(y - x));
}

/**
 * Draws from Gamma(shape) by the method of Marsaglia and Tsang (2000). Returns the logarithm: the number may underflow.
 */
function logGamma(shape: number): number {
  // Gamma(a) is Gamma(a + 1) times the a-th root of a uniform number.
  if (shape < 1) return logGamma(shape + 1) + Math.log(uniform()) / shape;
  const d = shape - 1 / 3;
  for (;;) {
    const x = randn([1]).item();
    const v = (1 + x / Math.sqrt(9 * d)) ** 3;
    if (v > 0 && Math.log(uniform()) < x ** 2 / 2 + d * (1 - v + Math.log(v))) return Math.log(d * v);
  }
}

/** Above 0, at most 1. */
function uniform(): number {
  return 1 - rand([1]).item();
}
