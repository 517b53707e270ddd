import { IntTensor } from "../tensor/int_tensor.js";
import type { Dataset } from "./dataset.js";
import { expectDataset } from "./expect_dataset.js";

const BATCH = 512;

/**
 * The class of every example [length]. A data set of one's own that has no {@link Dataset.labels} is read once, batch by
 * batch.
 *
 * @example
 * ```ts
 * const ofClassThree = labelsOf(train).filter((label) => label === 3).length;
 * ```
 */
export function labelsOf(dataset: Dataset): Int32Array {
  const { labels, length } = expectDataset(dataset);
  if (labels instanceof IntTensor && labels.size === length) return labels.data;
  const all = new Int32Array(length);
  for (let start = 0; start < length; start += BATCH) {
    all.set(dataset.slice(start, Math.min(start + BATCH, length)).labels.data, start);
  }
  return all;
}
