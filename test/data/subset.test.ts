import { describe, expect, test } from "vitest";
import { DataLoader, type Dataset, labelsOf, Subset, TensorDataset } from "../../src/data/index.js";
import { IntTensor } from "../../src/tensor/int_tensor.js";
import { tensor } from "../../src/tensor/tensor.js";
import { refusal } from "./support.js";

const base = new TensorDataset(tensor([[0], [10], [20], [30], [40]]), Int32Array.of(2, 0, 1, 0, 2), { name: "tens" });
const subset = new Subset(base, Int32Array.of(4, 1, 1, 2));

/** A user's data set, which has no labels at hand and counts what is read. */
function own(): Dataset & { read: number } {
  const { name, length, features, classes } = base;
  return {
    name,
    length,
    features,
    classes,
    read: 0,
    augmented: true,
    classNames: ["a", "b", "c"],
    image: { channels: 1, height: 1, width: 1, mean: [0.5], std: [2] },
    batch: (indices) => base.batch(indices),
    slice(start, end) {
      this.read += end - start;
      return base.slice(start, end);
    },
    fingerprint: () => base.fingerprint(),
  };
}

describe("batches", () => {
  test("are the base's samples, with indices in the subset", () => {
    const { inputs, labels, indices } = subset.batch(Int32Array.of(3, 0));
    expect([inputs.toArray(), labels.toArray(), Array.from(indices)]).toEqual([
      [[20], [40]],
      [1, 2],
      [3, 0],
    ]);
  });

  test("of samples that it has", async () => {
    expect(subset.inBase(Int32Array.of(3, 0))).toEqual(Int32Array.of(2, 4));
    const refused = [Int32Array.of(4), Int32Array.of(-1)].map((indices) =>
      refusal("BAD_ARGUMENT", () => subset.inBase(indices)),
    );
    expect(await Promise.all(refused)).toEqual([
      "indices[0]: expected a whole number from 0 to 3, got 4",
      "indices[0]: expected a whole number from 0 to 3, got -1",
    ]);
    expect(await refusal("BAD_DTYPE", () => subset.inBase([0] as never))).toContain("indices: expected an Int32Array");
  });

  test("slices too", () => {
    const { inputs, labels, indices } = subset.slice(1, 4);
    const expected = [
      [[10], [10], [20]],
      [0, 0, 1],
      [1, 2, 3],
    ];
    expect([inputs.toArray(), labels.toArray(), Array.from(indices)]).toEqual(expected);
    expect(subset.slice(2, 2).inputs.shape).toEqual([0, 1]);
  });

  test("a loader visits each place once", () => {
    const places = [...new DataLoader(subset, { batchSize: 3, shuffle: true })].flatMap(({ indices }) => [...indices]);
    expect(places.sort()).toEqual([0, 1, 2, 3]);
  });

  test("a subset of a subset", () => {
    const inner = new Subset(subset, Int32Array.of(3, 0));
    expect(inner.slice(0, 2).inputs.toArray()).toEqual([[20], [40]]);
    expect(Array.from(inner.labels ?? [])).toEqual([1, 2]);
  });
});

test("what the base says of itself is passed on", () => {
  const { name, length, features, classes, augmented, classNames, image } = new Subset(own(), Int32Array.of(1));
  expect([name, length, features, classes, augmented, classNames, image]).toEqual([
    "tens",
    1,
    1,
    3,
    true,
    ["a", "b", "c"],
    { channels: 1, height: 1, width: 1, mean: [0.5], std: [2] },
  ]);
  expect([subset.augmented, subset.classNames, subset.image]).toEqual([undefined, undefined, undefined]);
});

describe("labels", () => {
  test("of the base are taken by index", () => {
    expect(subset.labels).toEqual(new IntTensor(Int32Array.of(2, 0, 0, 1)));
    expect(subset.labels).toBe(subset.labels);
    expect(labelsOf(subset)).toBe(subset.labels?.data);
    expect(labelsOf(base)).toBe(base.labels.data);
  });

  test("that are not at hand are read", () => {
    const dataset = own();
    expect(new Subset(dataset, Int32Array.of(0)).labels).toBe(undefined);
    expect(labelsOf(dataset)).toEqual(Int32Array.of(2, 0, 1, 0, 2));
    expect(dataset.read).toBe(5);
    expect(labelsOf(new Subset(dataset, Int32Array.of(4, 2)))).toEqual(Int32Array.of(2, 1));
  });
});

test("the fingerprint is that of the base and the indices", () => {
  const of = (dataset: Dataset, ...indices: number[]) => new Subset(dataset, Int32Array.from(indices)).fingerprint();
  const other = new TensorDataset(tensor([[0], [10], [20], [30], [41]]), base.labels);
  const marks = [base.fingerprint(), of(base, 0, 1), of(base, 1, 0), of(base, 0), of(other, 0, 1)];
  expect(new Set(marks).size).toBe(5);
  expect(of(base, 0, 1)).toBe(marks[1]);
  // sha256("subset of <the base's>\n" + the indices as little-endian 32-bit numbers), by Python's hashlib.
  expect(base.fingerprint()).toBe("ea74b0966473831a22f43df7d8ccc087d5ca463985d8fa0fa0622743f85a65d8");
  expect(of(base, 0, 1)).toBe("3ec497ad3d433e772ce88aae9768758ade900e25b0241b99cf0a07b035713b92");
});

describe("refused", () => {
  test.each<[string, () => unknown, string]>([
    ["BAD_ARGUMENT", () => new Subset(1 as never, Int32Array.of(0)), "dataset: expected a Dataset, got 1"],
    ["BAD_DTYPE", () => new Subset(base, [0] as never), "indices: expected an Int32Array, got [0]"],
    [
      "BAD_ARGUMENT",
      () => new Subset(base, Int32Array.of(0, 5)),
      "indices[1]: expected a whole number from 0 to 4, got 5",
    ],
    [
      "BAD_ARGUMENT",
      () => new Subset(base, Int32Array.of(-1)),
      "indices[0]: expected a whole number from 0 to 4, got -1",
    ],
    [
      "BAD_ARGUMENT",
      () => new Subset(base, new Int32Array(0)),
      "indices.length: expected a whole number of at least 1, got 0",
    ],
    ["BAD_ARGUMENT", () => subset.batch(Int32Array.of(4)), "indices[0]: expected a whole number from 0 to 3, got 4"],
    ["BAD_DTYPE", () => subset.batch([1] as never), "indices: expected an Int32Array, got [1]"],
    ["BAD_ARGUMENT", () => subset.slice(0, 5), "end: expected a whole number from 0 to 4, got 5"],
    ["BAD_ARGUMENT", () => subset.slice(-1, 2), "start: expected a whole number from 0 to 4, got -1"],
    ["BAD_ARGUMENT", () => labelsOf(null as never), "dataset: expected a Dataset, got null"],
  ])("%s %#", async (code, body, text) => {
    expect(await refusal(code, body)).toBe(text);
  });
});

test.each<[selection: object, text: string]>([
  [{ seeed: 1 }, 'selection: unknown option "seeed", did you mean seed?'],
  [{ fraction: 0.5, part: "train" }, "seed: expected a whole number of at least -9007199254740991, got undefined"],
  [{ fraction: 0.5, seed: 1.5, part: "train" }, "seed: expected a whole number of at least -9007199254740991, got 1.5"],
  [{ fraction: 0.5, seed: 1, part: "x" }, 'part: expected "train" or "heldOut", got "x"'],
])("a selection that no file keeps is refused: %o", async (selection, text) => {
  expect(await refusal("BAD_ARGUMENT", () => new Subset(base, Int32Array.of(0), selection as never))).toBe(text);
});

test("of arrays that were transferred nothing is read", async () => {
  const inputs = tensor([[0], [1]]);
  const data = new TensorDataset(inputs, Int32Array.of(0, 1));
  structuredClone(inputs.data, { transfer: [inputs.data.buffer as ArrayBuffer] });
  expect(await refusal("SHAPE_MISMATCH", () => data.slice(0, 1))).toBe("inputs: expected shape [2], got [0]");
  const labels = Int32Array.of(1, 1);
  const unlabelled = new TensorDataset(tensor([[0], [1]]), labels);
  structuredClone(labels, { transfer: [labels.buffer] });
  for (const take of [() => unlabelled.batch(Int32Array.of(0)), () => unlabelled.slice(0, 1)]) {
    expect(await refusal("SHAPE_MISMATCH", take)).toBe("labels: expected shape [2], got [0]");
  }
});
