import { createHash } from "node:crypto";
import * as v from "valibot";
import {
  argumentError,
  expectInteger,
  expectLength,
  expectNumber,
  expectOptions,
  MAX_LENGTH,
  outOfRange,
  show,
} from "../checks.js";
import { integer, oneOf, parseOptions, range } from "../registry/index.js";
import { sum } from "../sums.js";
import { IntTensor, type Labels, labelData } from "../tensor/int_tensor.js";
import { Generator, randperm, withGenerator } from "../tensor/random.js";
import { type Batch, chunkOf, type Dataset, expectDataset, NO_LABEL } from "./dataset.js";
import { DerivedDataset } from "./derived_dataset.js";
import { expectIndices, expectRange, indexRange, takeBatch } from "./take_batch.js";
import { strataOf } from "./targets.js";

/** The schemas of a {@link Selection}. */
export const SELECTION = {
  fraction: v.optional(range(Number.MIN_VALUE, 1 - Number.EPSILON / 2, "a number between 0 and 1")),
  count: v.optional(integer(0, MAX_LENGTH)),
  seed: integer(Number.MIN_SAFE_INTEGER),
  part: oneOf(["train", "heldOut"]),
  of: v.optional(oneOf(["test"])),
};

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
 * const firstTen = new Subset(train, Int32Array.from({ length: 10 }, (_, i) => i));
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
    if (selection !== undefined) parseOptions("selection", SELECTION, selection);
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
    expectIndices(indices, this.length);
    return indices.map((index) => this.indices[index]);
  }

  protected override hash(base: string): string {
    return createHash("sha256").update(`subset of ${base}\n`).update(this.indices).digest("hex");
  }
}

/** How much is held out: `fraction` or `count`, one of the two. */
export interface SplitOptions {
  /** The fraction of the samples, between 0 and 1. */
  fraction?: number;
  /** The number of samples. */
  count?: number;
  /** The seed of the split's own random stream; default 0. */
  seed?: number | bigint;
}

/**
 * A stratified split: each class gives the same fraction of its samples to the part that is held out, such as
 * validation data out of training data; samples of another task than classification are all alike. Drawn from a stream
 * of its own: the same seed gives the same parts, whatever was drawn from the current stream.
 *
 * The parts of the classes are rounded so that their sum is right (largest remainder), and each class leaves at least
 * one sample to each part; a class of one sample and samples without labels stay in `train`. Both parts keep the order
 * of the data set.
 *
 * @throws DistilleryError `BAD_ARGUMENT`, also if no class has two samples or `count` is less than one of each.
 * @example
 * ```ts
 * const { train, heldOut: validation } = splitDataset(data, { fraction: 0.1, seed: 0 });
 * ```
 */
export function splitDataset(dataset: Dataset, options: SplitOptions): { train: Subset; heldOut: Subset } {
  const { strata, count } = strataOf(expectDataset(dataset));
  const parts = stratify(strata, count, options, dataset.unlabelled === true);
  return subsetsOf(dataset, parts, options);
}

/** The parts of a split as data sets that know it; `of`: what it was made for. */
export function subsetsOf(
  dataset: Dataset,
  { train, heldOut }: ReturnType<typeof stratify>,
  { seed = 0, ...options }: SplitOptions,
  of?: "test",
): { train: Subset; heldOut: Subset } {
  const isKept = Number.isSafeInteger(Number(seed));
  const selection = (part: Selection["part"]) =>
    isKept ? { ...options, seed: Number(seed), part, ...(of && { of }) } : undefined;
  return {
    train: new Subset(dataset, train, selection("train")),
    heldOut: new Subset(dataset, heldOut, selection("heldOut")),
  };
}

/**
 * The ascending indices of the two parts that {@link splitDataset} makes of samples with these labels.
 *
 * @throws DistilleryError as {@link splitDataset}, `BAD_DTYPE`.
 * @example
 * ```ts
 * const { train, heldOut } = stratify(Int32Array.of(0, 0, 1, 1), 2, { fraction: 0.5 });
 * [train.length, heldOut.length]; // [2, 2]
 * ```
 */
export function stratify(
  labels: Labels,
  classes: number,
  options: SplitOptions,
  unlabelled = false,
): { train: Int32Array; heldOut: Int32Array } {
  expectOptions("split", options, ["fraction", "count", "seed"]);
  const data = labelData(labels);
  const sizes = sizesOf(data, expectLength("classes", classes), unlabelled);
  const rest = holdOut(sizes, options);
  const order = withGenerator(
    new Generator(options.seed === undefined ? 0 : options.seed),
    () => randperm(data.length).data,
  );
  const isHeldOut = new Uint8Array(data.length);
  for (const index of order) {
    const label = data[index];
    const left = rest.get(label) ?? 0;
    if (left === 0) continue;
    rest.set(label, left - 1);
    isHeldOut[index] = 1;
  }
  const all = indexRange(0, data.length);
  return { train: all.filter((i) => isHeldOut[i] === 0), heldOut: all.filter((i) => isHeldOut[i] === 1) };
}

/** The number of samples of each class, in the order of the classes. */
function sizesOf(labels: Int32Array, classes: number, unlabelled: boolean): Map<number, number> {
  const sizes = new Map<number, number>();
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i];
    if (unlabelled && label === NO_LABEL) continue;
    if (label < 0 || label >= classes) throw outOfRange(`labels[${i}]`, classes, label);
    sizes.set(label, (sizes.get(label) ?? 0) + 1);
  }
  return new Map([...sizes].sort(([a], [b]) => a - b));
}

/** The number of samples of each class that are held out; classes of one sample are left out. */
function holdOut(sizes: ReadonlyMap<number, number>, { fraction, count }: SplitOptions): Map<number, number> {
  if ((fraction === undefined) === (count === undefined)) {
    const both = `${show(fraction)} and ${show(count)}`;
    throw argumentError("fraction, count", `expected one of the two, got ${both}`);
  }
  const divisible = [...sizes].filter(([, size]) => size > 1);
  if (divisible.length === 0) {
    const text =
      sizes.size === 1 ? "at least two samples to split, got 1" : "a class of at least two samples to split, got none";
    throw argumentError("labels", `expected ${text}`);
  }
  const counts = divisible.map(([, size]) => size);
  const of =
    count === undefined
      ? { fraction: expectNumber("fraction", fraction, (x) => x > 0 && x < 1, "a number between 0 and 1") }
      : { count: expectInteger("count", count, divisible.length, counts.reduce((a, b) => a + b) - divisible.length) };
  const parts = apportion(counts, of);
  return new Map(divisible.map(([label], i) => [label, parts[i]]));
}

/**
 * Whole parts of groups of two and more, near the same fraction of each: between 1 and the group's size - 1, with a sum
 * of `count`, or of the rounded products if a fraction is given. By the method of largest remainders (Hamilton's);
 * among equal remainders the first is rounded up.
 */
function apportion(sizes: readonly number[], of: { fraction: number } | { count: number }): number[] {
  const fraction = "fraction" in of ? of.fraction : findFraction(sizes, of.count);
  const wanted = sizes.map((size) => bounded(size, fraction));
  const parts = wanted.map(Math.floor);
  const missing = ("count" in of ? of.count : Math.round(sum(wanted))) - sum(parts);
  const remainder = (i: number) => wanted[i] - parts[i];
  const byRemainder = sizes.map((_, i) => i).sort((a, b) => remainder(b) - remainder(a));
  for (const i of byRemainder.slice(0, missing)) parts[i] = parts[i] + 1;
  return parts;
}

/** The fraction at which the bounded parts add up to `count`, by bisection. */
function findFraction(sizes: readonly number[], count: number): number {
  let [low, high] = [0, 1];
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return high;
    if (sum(sizes.map((size) => bounded(size, middle))) < count) low = middle;
    else high = middle;
  }
}

function bounded(size: number, fraction: number): number {
  return Math.min(Math.max(size * fraction, 1), size - 1);
}
