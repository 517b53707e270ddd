import { expect, test } from "vitest";
import { augment, DataLoader, type Dataset, Subset } from "../../src/data/index.js";
import { blockShuffle } from "../../src/data/loader.js";
import { indexRange } from "../../src/data/take_batch.js";
import { IntTensor } from "../../src/tensor/int_tensor.js";
import { manualSeed } from "../../src/tensor/random.js";
import { Tensor } from "../../src/tensor/tensor.js";

/** A user's data set of a number of samples, which are read in chunks. */
const own = (length: number, chunk: number): Dataset => ({
  name: "own",
  length,
  features: 1,
  classes: 1,
  chunk,
  fingerprint: () => "",
  batch: (indices) => ({
    inputs: new Tensor(new Float32Array(indices.length), [indices.length, 1]),
    labels: new IntTensor(new Int32Array(indices.length)),
    indices,
  }),
  slice: (start, end) => own(length, chunk).batch(indexRange(start, end)),
});

/** That of an epoch after `torch.manual_seed(0)`. */
function orderOf(dataset: Dataset): number[] {
  manualSeed(0);
  return Array.from(new DataLoader(dataset, { shuffle: true, order: "randperm" }).epoch().order ?? []);
}

// By torch.manual_seed(0) and torch.randperm: of the number of chunks, then of each one's samples.
test("the chunks in a random order, and in each its samples in one", () => {
  expect(orderOf(own(10, 4))).toEqual([9, 8, 0, 2, 3, 1, 7, 6, 4, 5]);
  manualSeed(0);
  expect(Array.from(blockShuffle(own(10, 4)))).toEqual(orderOf(own(10, 4)));
});

test("of a subset, what it has of each chunk", () => {
  // Its places 0, 1, 2 are in the first chunk, 3, 4 in the second, 5 in the third.
  const subset = new Subset(own(10, 4), Int32Array.of(0, 2, 3, 5, 6, 9));
  expect(orderOf(subset)).toEqual([5, 2, 1, 0, 4, 3]);
  expect(orderOf(augment(subset, { noise: 1 }))).toEqual([5, 2, 1, 0, 4, 3]);
  expect(orderOf(new Subset(subset, indexRange(0, 6)))).toEqual([5, 2, 1, 0, 4, 3]);
});

test("of chunks that are no neighbours, by the numbers that they have", () => {
  expect(orderOf({ ...own(6, 3), chunkOf: (index) => -(index % 2) })).toEqual([0, 4, 2, 1, 5, 3]);
});
