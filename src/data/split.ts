import { expectInteger, expectNumber, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { type Labels, labelData } from "../tensor/int_tensor.js";
import { Generator, randperm, withGenerator } from "../tensor/random.js";
import type { Dataset } from "./dataset.js";
import { indexRange } from "./indices.js";
import { labelsOf } from "./labels_of.js";
import { shareOut } from "./share_out.js";
import { Subset } from "./subset.js";

/** How much is held out: `share` or `count`, one of the two. */
export interface SplitOptions {
  /** Of the examples, between 0 and 1. */
  share?: number;
  /** The number of examples. */
  count?: number;
  /** Of the split's own random stream; default 0. */
  seed?: number | bigint;
}

/**
 * A data set in two parts, each class in both by its share: validation data out of training data. Drawn by a stream of
 * its own, so the same seed gives the same parts wherever the current stream stands.
 *
 * Each class gives its share, rounded so that the sum is right (largest remainder), and leaves at least one example to
 * each part; a class of one example stays in `train`. Both parts keep the order of the data set.
 *
 * @throws DistilleryError `BAD_ARGUMENT`, also where no class has two examples or `count` is less than one of each.
 * @example
 * ```ts
 * const { train, held: validation } = splitDataset(data, { share: 0.1, seed: 0 });
 * ```
 */
export function splitDataset(dataset: Dataset, options: SplitOptions): { train: Subset; held: Subset } {
  const { train, held } = stratify(labelsOf(dataset), dataset.classes, options);
  return { train: new Subset(dataset, train), held: new Subset(dataset, held) };
}

/** The ascending indices of the two parts that {@link splitDataset} makes of examples with these labels. */
export function stratify(
  labels: Labels,
  classes: number,
  options: SplitOptions,
): { train: Int32Array; held: Int32Array } {
  const data = labelData(labels);
  const sizes = countClasses(data, expectInteger("classes", classes, 1, 2 ** 31 - 1));
  const rest = holdOut(sizes, options);
  const order = withGenerator(new Generator(options.seed ?? 0), () => randperm(data.length).data);
  const isHeld = new Uint8Array(data.length);
  for (const index of order) {
    const label = data[index] as number;
    const left = rest.get(label) ?? 0;
    if (left === 0) continue;
    rest.set(label, left - 1);
    isHeld[index] = 1;
  }
  const all = indexRange(0, data.length);
  return { train: all.filter((i) => isHeld[i] === 0), held: all.filter((i) => isHeld[i] === 1) };
}

/** How many examples each class has, in the order of the classes. */
function countClasses(labels: Int32Array, classes: number): Map<number, number> {
  const sizes = new Map<number, number>();
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i] as number;
    if (label < 0 || label >= classes) {
      const text = `labels[${i}]: expected a class from 0 to ${classes - 1}, got ${label}`;
      throw new DistilleryError("LABEL_OUT_OF_RANGE", text);
    }
    sizes.set(label, (sizes.get(label) ?? 0) + 1);
  }
  return new Map([...sizes].sort(([a], [b]) => a - b));
}

/** How many examples of each class are held out; classes of one example are left out. */
function holdOut(sizes: ReadonlyMap<number, number>, { share, count }: SplitOptions): Map<number, number> {
  if ((share === undefined) === (count === undefined)) {
    const both = `${show(share)} and ${show(count)}`;
    throw new DistilleryError("BAD_ARGUMENT", `share, count: expected one of the two, got ${both}`);
  }
  const shared = [...sizes].filter(([, size]) => size > 1);
  if (shared.length === 0) {
    throw new DistilleryError("BAD_ARGUMENT", "labels: expected a class of two examples at least to split, got none");
  }
  const counts = shared.map(([, size]) => size);
  const of =
    count === undefined
      ? { share: expectNumber("share", share, (x) => x > 0 && x < 1, "a number between 0 and 1") }
      : { count: expectInteger("count", count, shared.length, counts.reduce((a, b) => a + b) - shared.length) };
  const parts = shareOut(counts, of);
  return new Map(shared.map(([label], i) => [label, parts[i] as number]));
}
