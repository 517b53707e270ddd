import { describe, expect, test } from "vitest";
import { type SplitOptions, splitDataset, stratify, TensorDataset } from "../../src/data/index.js";
import { IntTensor } from "../../src/tensor/int_tensor.js";
import { Generator, randn, withGenerator } from "../../src/tensor/random.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { cpuTime } from "../helpers/cpu_time.js";
import { refusal } from "./support.js";

/** Labels 0, 1, 2, ... as often as given, class after class. */
const labelsOfSizes = (...sizes: number[]) => Int32Array.from(sizes.flatMap((size, label) => Array(size).fill(label)));
const split = (sizes: number[], options: SplitOptions) => stratify(labelsOfSizes(...sizes), sizes.length, options);
/** How many of each class are heldOut out. */
function heldSizes(sizes: number[], options: SplitOptions): number[] {
  const labels = labelsOfSizes(...sizes);
  const { train, heldOut } = stratify(labels, sizes.length, options);
  const whole = [...train, ...heldOut].sort((a, b) => a - b);
  expect(whole).toEqual(Array.from(labels, (_, i) => i));
  for (const part of [train, heldOut]) expect(part).toEqual(part.toSorted());
  return sizes.map((_, label) => heldOut.filter((i) => labels[i] === label).length);
}

describe("who is heldOut out", () => {
  test("the first of each class in the order of torch.manual_seed(0), torch.randperm(10): 4 1 7 5 3 9 0 8 6 2", () => {
    const { train, heldOut } = split([5, 5], { fraction: 0.4 });
    expect(Array.from(heldOut)).toEqual([1, 4, 5, 7]);
    expect(Array.from(train)).toEqual([0, 2, 3, 6, 8, 9]);
  });

  test("others by another seed, the same by the same", () => {
    const [a, b, c] = [1, 2, 1n].map((seed) => split([50, 50], { count: 20, seed }).heldOut);
    expect(a).toEqual(c);
    expect(a).not.toEqual(b);
  });

  test("the current stream is left where it stands", () => {
    const generator = new Generator(3);
    const before = generator.state.slice();
    const drawn = withGenerator(generator, () => split([50, 50], { fraction: 0.5, seed: 7 }));
    expect(generator.state).toEqual(before);
    expect(drawn).toEqual(split([50, 50], { fraction: 0.5, seed: 7 }));
  });
});

describe("how many of each class", () => {
  test.each<[number[], SplitOptions, number[]]>([
    [[10, 20, 30], { fraction: 0.1 }, [1, 2, 3]],
    // 0.29 * 100 is 28.999999999999996.
    [[100, 100], { fraction: 0.29 }, [29, 29]],
    // Shares 1.5, 1.75, 1.25: a sum of 4.5, so 5, and the two largest remainders round up.
    [[6, 7, 5], { fraction: 0.25 }, [2, 2, 1]],
    [[6, 7, 5], { count: 4 }, [1, 2, 1]],
    [[6000, 6000, 6000], { count: 500 }, [167, 167, 166]],
    // One at least to each part, beyond the share.
    [[2, 2, 1000], { fraction: 0.01 }, [1, 1, 10]],
    [[2, 2, 1000], { fraction: 0.99 }, [1, 1, 990]],
    [[2, 2, 1000], { count: 12 }, [1, 1, 10]],
    [[2, 2, 1000], { count: 1001 }, [1, 1, 999]],
    [[2, 3, 4], { count: 3 }, [1, 1, 1]],
    [[2, 3, 4], { count: 6 }, [1, 2, 3]],
    // A class of one stays in training, and does not count.
    [[1, 10, 1, 10], { fraction: 0.5 }, [0, 5, 0, 5]],
    [[1, 10, 0, 10], { count: 7 }, [0, 4, 0, 3]],
  ])("%j %j", (sizes, options, expected) => {
    expect(heldSizes(sizes, options)).toEqual(expected);
  });

  test("the sum is the requested one, for any sizes", () => {
    const sizes = Array.from({ length: 40 }, (_, i) => 2 + ((i * 37) % 101));
    const total = sizes.reduce((a, b) => a + b);
    for (let count = 40; count <= total - 40; count += 29) {
      const heldOut = heldSizes(sizes, { count });
      expect(heldOut.reduce((a, b) => a + b)).toBe(count);
      for (const [i, part] of heldOut.entries()) {
        expect(part).toBeGreaterThan(0);
        expect(part).toBeLessThan(sizes[i]);
      }
    }
  });

  test("samples without a label stay in training", () => {
    const { heldOut } = stratify(Int32Array.of(-1, 0, -1, 0, -1), 1, { fraction: 0.5 }, true);
    expect([[1], [3]]).toContainEqual([...heldOut]);
  });

  test("a label far up costs nothing", () => {
    const top = 2 ** 31 - 2;
    const { heldOut } = stratify(Int32Array.of(top, 3, top, 3), 2 ** 31 - 1, { fraction: 0.5 });
    expect(heldOut.length).toBe(2);
  });
});

test("the parts of a data set are its samples", () => {
  const labels = labelsOfSizes(4, 6);
  const inputs = new Tensor(
    Float32Array.from({ length: 10 }, (_, i) => i / 2),
    [10, 1],
  );
  const { train, heldOut } = splitDataset(new TensorDataset(inputs, labels, { name: "halves" }), {
    fraction: 0.5,
    seed: 4,
  });
  expect([train.length, heldOut.length, train.name, heldOut.classes]).toEqual([5, 5, "halves", 2]);
  for (const part of [train, heldOut]) {
    const { inputs, labels: own } = part.slice(0, 5);
    expect(Array.from(inputs.data)).toEqual(Array.from(part.indices, (i) => i / 2));
    expect(Array.from(own)).toEqual(Array.from(part.indices, (i) => labels[i]));
  }
});

test("60,000 rows are split at once", () => {
  const labels = Int32Array.from({ length: 60_000 }, (_, i) => (i * 7) % 10);
  const dataset = new TensorDataset(randn([60_000, 4]), labels);
  const start = cpuTime();
  const { heldOut } = splitDataset(dataset, { fraction: 0.1 });
  expect(cpuTime() - start).toBeLessThan(1000);
  const sizes = new Array(10).fill(0);
  for (const label of heldOut.labels ?? []) sizes[label] += 1;
  expect(sizes).toEqual(new Array(10).fill(600));
});

describe("refused", () => {
  const of = (options: unknown) => split([5, 5], options as SplitOptions);
  test.each<[string, () => unknown, string]>([
    ["BAD_ARGUMENT", () => of({}), "fraction, count: expected one of the two, got undefined and undefined"],
    ["BAD_ARGUMENT", () => of({ fraction: 0.5, count: 5 }), "fraction, count: expected one of the two, got 0.5 and 5"],
    ["BAD_ARGUMENT", () => of({ fraction: 0 }), "fraction: expected a number between 0 and 1, got 0"],
    ["BAD_ARGUMENT", () => of({ fraction: 1 }), "fraction: expected a number between 0 and 1, got 1"],
    ["BAD_ARGUMENT", () => of({ fraction: "0.1" }), 'fraction: expected a number between 0 and 1, got "0.1"'],
    ["BAD_ARGUMENT", () => of({ fraction: Number.NaN }), "fraction: expected a number between 0 and 1, got NaN"],
    ["BAD_ARGUMENT", () => of({ count: 1 }), "count: expected a whole number from 2 to 8, got 1"],
    ["BAD_ARGUMENT", () => of({ count: 9 }), "count: expected a whole number from 2 to 8, got 9"],
    ["BAD_ARGUMENT", () => of({ fraction: 0.5, seed: 0.5 }), "seed: expected a whole number, got 0.5"],
    [
      "BAD_ARGUMENT",
      () => split([1, 1], { fraction: 0.5 }),
      "labels: expected a class of at least two samples to split, got none",
    ],
    [
      "BAD_ARGUMENT",
      () => stratify(new Int32Array(0), 3, { fraction: 0.5 }),
      "labels: expected a class of at least two samples to split, got none",
    ],
    [
      "BAD_DTYPE",
      () => stratify([0, 1] as never, 2, { fraction: 0.5 }),
      "labels: expected an IntTensor or Int32Array, got [0, 1]",
    ],
    [
      "LABEL_OUT_OF_RANGE",
      () => stratify(new IntTensor(Int32Array.of(0, 2)), 2, { fraction: 0.5 }),
      "labels[1]: expected a class from 0 to 1, got 2",
    ],
    [
      "LABEL_OUT_OF_RANGE",
      () => stratify(Int32Array.of(0, -1), 2, { fraction: 0.5 }),
      "labels[1]: expected a class from 0 to 1, got -1",
    ],
    [
      "BAD_ARGUMENT",
      () => splitDataset({} as never, { fraction: 0.5 }),
      "dataset: expected a Dataset, got a value of type Object",
    ],
    [
      "BAD_ARGUMENT",
      () => splitDataset(undefined as never, { fraction: 0.1 }),
      "dataset: expected a Dataset, got undefined",
    ],
  ])("%s %#", async (code, body, text) => {
    expect(await refusal(code, body)).toBe(text);
  });
});
