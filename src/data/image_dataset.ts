import { expectInteger, expectNumber, expectShape, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import type { Labels } from "../tensor/int_tensor.js";
import { type DatasetOptions, LabelledDataset } from "./labelled_dataset.js";
import type { Normalisation } from "./normalisation.js";

/** The options of an {@link ImageDataset}. */
export interface ImageDatasetOptions extends DatasetOptions, Normalisation {
  /** The number of pixels of one image. */
  features: number;
}

/**
 * Grey images in bytes, row by row, not copied, with labels [n]. Batches hold (pixel / 255 - mean) / std, as
 * torchvision's `ToTensor` and `Normalize` compute it.
 *
 * @example
 * ```ts
 * const dataset = new ImageDataset(Uint8Array.of(0, 255), Int32Array.of(0, 1), { features: 1, mean: 0.5, std: 0.5 });
 * dataset.slice(0, 2).inputs.toArray(); // [[-1], [1]]
 * ```
 */
export class ImageDataset extends LabelledDataset implements Normalisation {
  /** [length, features]. */
  readonly pixels: Uint8Array;
  readonly mean: number;
  readonly std: number;

  constructor(pixels: Uint8Array, labels: Labels, options: ImageDatasetOptions) {
    if (!(pixels instanceof Uint8Array)) {
      throw new DistilleryError("BAD_DTYPE", `pixels: expected a Uint8Array, got ${show(pixels)}`);
    }
    const { features, mean, std, name = "images", classes } = options;
    expectInteger("features", features, 1, 2 ** 31 - 1);
    const examples = Math.ceil(pixels.length / features);
    expectShape("pixels", [pixels.length], [examples * features]);
    super([examples, features], labels, name, classes);
    this.pixels = pixels;
    this.mean = expectNumber("mean", mean, () => true, "a finite number");
    this.std = expectNumber("std", std, (x) => Math.fround(x) > 0, "a number above 0");
  }

  protected override gather(indices: Int32Array, out: Float32Array): void {
    native.gatherBytes(this.pixels, indices, out, this.length, this.features, this.mean, this.std);
  }

  protected override content() {
    return { kind: `uint8, mean ${this.mean}, std ${this.std}`, values: this.pixels };
  }
}
