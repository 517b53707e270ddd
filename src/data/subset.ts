import { createHash } from "node:crypto";
import { expectInteger } from "../checks.js";
import { IntTensor } from "../tensor/int_tensor.js";
import { type Batch, chunkOf, type Dataset } from "./dataset.js";
import { DerivedDataset } from "./derived_dataset.js";
import { expectIndices, expectRange, indexRange, takeBatch } from "./take_batch.js";

/** The part of a stratified split that a subset is. */
export interface Selection {
  readonly fraction?: number;
  readonly count?: number;
  readonly seed: number;
  readonly part: "train" | "heldOut";
  /** What the split was made for. */
  readonly of?: "test";
}

/**
 * The samples of another data set with these indices, in their order, which may repeat. `torch.utils.data.Subset`.
 * Neither the values nor the indices are copied; `Batch.indices` count in the subset.
 *
 * @throws DistilleryError `BAD_DTYPE`, `BAD_ARGUMENT` for indices that the data set lacks, and for none.
 * @example
 * ```ts
 * const firstHundred = new Subset(train, Int32Array.from({ length: 100 }, (_, i) => i));
 * ```
 */
export class Subset extends DerivedDataset {
  /** Sample `i` of the subset is sample `indices[i]` of the whole data set. */
  readonly indices: Int32Array;
  readonly length: number;
  /** The part of a split that it is; undefined for indices of the user's own. */
  readonly selection: Selection | undefined;
  #labels: IntTensor | undefined;

  constructor(dataset: Dataset, indices: Int32Array, selection?: Selection) {
    super(dataset);
    this.selection = selection;
    expectIndices(indices, dataset.length);
    this.indices = indices;
    this.length = expectInteger("indices.length", indices.length, 1);
  }

  override get labels(): IntTensor | undefined {
    const labels = this.dataset.labels?.data;
    if (labels === undefined) return undefined;
    this.#labels ??= new IntTensor(this.indices.map((index) => labels[index]));
    return this.#labels;
  }

  override chunkOf(index: number): number {
    return chunkOf(this.dataset, this.indices[index]);
  }

  override batch(indices: Int32Array): Batch {
    expectIndices(indices, this.length);
    const batch = takeBatch(
      this.dataset,
      indices.map((index) => this.indices[index]),
    );
    return { ...batch, indices };
  }

  override slice(start: number, end: number): Batch {
    expectRange(start, end, this.length);
    const batch = takeBatch(this.dataset, this.indices.slice(start, end));
    return { ...batch, indices: indexRange(start, end) };
  }

  override inBase(indices: Int32Array): Int32Array {
    return indices.map((index) => this.indices[index]);
  }

  protected override hash(base: string): string {
    return createHash("sha256").update(`subset of ${base}\n`).update(this.indices).digest("hex");
  }
}
