import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Batch, DataLoader, type DataLoaderOptions, TensorDataset } from "../../src/data/index.js";
import { Generator, manualSeed, rand, randperm, Tensor, withGenerator } from "../../src/index.js";
import { refusal } from "./support.js";

/** Ten samples: example i is [i, i / 2] with label i. */
const inputs = new Tensor(
  Float32Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? i / 2 : (i - 1) / 4)),
  [10, 2],
);
const labels = Int32Array.from({ length: 10 }, (_, i) => i);
const dataset = new TensorDataset(inputs, labels);
const loaderOf = (options?: DataLoaderOptions) => new DataLoader(dataset, options);
const indicesOf = (batches: Iterable<Batch>) => Array.from(batches, ({ indices }) => Array.from(indices));

/** Every value of a batch is its example's. */
function expectExamples({ inputs, labels, indices }: Batch): void {
  expect(inputs.toArray()).toEqual(Array.from(indices, (i) => [i, i / 2]));
  expect(labels.toArray()).toEqual(Array.from(indices));
}

describe("in order", () => {
  test("the last short batch is kept", () => {
    const loader = loaderOf({ batchSize: 4 });
    const expected = [
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ];
    expect(loader.length).toBe(3);
    expect(indicesOf(loader)).toEqual(expected);
    for (const batch of loader) expectExamples(batch);
  });

  test("the last short batch is dropped", () => {
    const loader = loaderOf({ batchSize: 4, dropLast: true });
    const expected = [
      [0, 1, 2, 3],
      [4, 5, 6, 7],
    ];
    expect(loader.length).toBe(2);
    expect(indicesOf(loader)).toEqual(expected);
  });

  test("a whole last batch is no short one", () => {
    for (const dropLast of [false, true]) {
      expect(indicesOf(loaderOf({ batchSize: 5, dropLast }))).toEqual([
        [0, 1, 2, 3, 4],
        [5, 6, 7, 8, 9],
      ]);
    }
  });

  test("64 a batch by default", () => {
    const loader = loaderOf();
    expect([loader.batchSize, loader.shuffle, loader.dropLast, loader.length]).toEqual([64, false, false, 1]);
    expect(indicesOf(loader)).toEqual([[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]);
  });

  test("shares the tensors' memory and draws nothing", () => {
    const generator = new Generator(5);
    const before = generator.state.slice();
    withGenerator(generator, () => {
      for (const { inputs: part } of loaderOf({ batchSize: 3 })) expect(part.data.buffer).toBe(inputs.data.buffer);
    });
    expect(generator.state).toEqual(before);
  });
});

describe("shuffled", () => {
  const { cases } = JSON.parse(readFileSync(new URL("fixtures/loader.json", import.meta.url), "utf8")) as {
    cases: {
      seed: number;
      samples: number;
      options: DataLoaderOptions;
      epochs: { batches: number[][]; next: number }[];
    }[];
  };
  test.each(cases)(
    "PyTorch's DataLoader: seed $seed, $samples samples, $options",
    ({ seed, samples, options, epochs }) => {
      const rows = new TensorDataset(new Tensor(new Float32Array(samples), [samples, 1]), new Int32Array(samples));
      // What is not shuffled draws a seed in PyTorch, too.
      const loader = new DataLoader(rows, options.shuffle ? options : { ...options, order: "torch-dataloader" });
      manualSeed(seed);
      for (const { batches, next } of epochs) {
        expect(indicesOf(loader)).toEqual(batches);
        expect(rand([1]).item()).toBe(next);
      }
    },
  );

  test("by randperm: each epoch's order is that of the stream", () => {
    manualSeed(11);
    const expected = [randperm(10), randperm(10)].map(({ data }) => Array.from(data));
    manualSeed(11);
    const loader = loaderOf({ batchSize: 4, shuffle: true, order: "randperm" });
    const got = [indicesOf(loader), indicesOf(loader)];
    expect(got.map((batches) => batches.flat())).toEqual(expected);
    expect(got[0]?.map(({ length }) => length)).toEqual([4, 4, 2]);
    expect(expected[0]).not.toEqual(expected[1]);
  });

  test("by randperm: PyTorch's order of torch.manual_seed(0), torch.randperm(10)", () => {
    manualSeed(0);
    const { order } = loaderOf({ shuffle: true, order: "randperm" }).epoch();
    expect(Array.from(order as Int32Array)).toEqual([4, 1, 7, 5, 3, 9, 0, 8, 6, 2]);
  });

  test("every example comes with its own values, once an epoch", () => {
    const batches = [...loaderOf({ batchSize: 3, shuffle: true })];
    for (const batch of batches) expectExamples(batch);
    expect(indicesOf(batches).flat().sort()).toEqual(Array.from(labels));
  });

  test("what is dropped is the end of the order", () => {
    const epoch = loaderOf({ batchSize: 4, shuffle: true, dropLast: true }).epoch();
    expect(indicesOf(epoch).flat()).toEqual(Array.from(epoch.order as Int32Array).slice(0, 8));
  });

  test("the order is drawn when the epoch begins, not when the loader is made", () => {
    manualSeed(1);
    const first = randperm(10);
    const loader = loaderOf({ batchSize: 10, shuffle: true, order: "randperm" });
    manualSeed(1);
    expect(indicesOf(loader)).toEqual([Array.from(first.data)]);
  });
});

describe("an epoch", () => {
  test("gives a batch again, in any order", () => {
    const epoch = loaderOf({ batchSize: 4, shuffle: true }).epoch();
    const order = Array.from(epoch.order as Int32Array);
    expect(epoch.length).toBe(3);
    expect([2, 0, 0].map((i) => Array.from(epoch.batch(i).indices))).toEqual([
      order.slice(8),
      order.slice(0, 4),
      order.slice(0, 4),
    ]);
  });

  test("is rebuilt from its order", () => {
    const loader = loaderOf({ batchSize: 4, shuffle: true });
    const epoch = loader.epoch();
    const order = Int32Array.from(epoch.order as Int32Array);
    const again = loader.epochFrom(order);
    order.fill(0);
    expect(indicesOf(again)).toEqual(indicesOf(epoch));
  });

  test("without an order is the data set's", () => {
    const loader = loaderOf({ batchSize: 6 });
    expect(loader.epoch().order).toBe(null);
    expect(indicesOf(loader.epochFrom(null))).toEqual(indicesOf(loader));
  });

  test("takes a given order", () => {
    const order = Int32Array.from({ length: 10 }, (_, i) => 9 - i);
    expect(indicesOf(loaderOf({ batchSize: 5 }).epochFrom(order))).toEqual([
      [9, 8, 7, 6, 5],
      [4, 3, 2, 1, 0],
    ]);
  });

  test("keeps its order when a batch's indices are changed", () => {
    const epoch = loaderOf({ batchSize: 4, shuffle: true }).epoch();
    const before = indicesOf(epoch);
    epoch.batch(0).indices.fill(0);
    expect(indicesOf(epoch)).toEqual(before);
  });
});

describe("refused", () => {
  const shuffling = loaderOf({ shuffle: true });
  const from = (...order: number[]) => shuffling.epochFrom(Int32Array.from(order));
  test.each<[string, () => unknown, string]>([
    ["BAD_ARGUMENT", () => new DataLoader(inputs as never), "dataset: expected a Dataset, got a value of type Tensor"],
    ["BAD_ARGUMENT", () => new DataLoader(null as never), "dataset: expected a Dataset, got null"],
    ["BAD_ARGUMENT", () => loaderOf({ batchSize: 0 }), "batchSize: expected a whole number of at least 1, got 0"],
    ["BAD_ARGUMENT", () => loaderOf({ batchSize: 2.5 }), "batchSize: expected a whole number of at least 1, got 2.5"],
    [
      "BAD_ARGUMENT",
      () => loaderOf({ batchSize: "8" as never }),
      'batchSize: expected a whole number of at least 1, got "8"',
    ],
    ["BAD_ARGUMENT", () => loaderOf({ shuffle: 1 as never }), "shuffle: expected true or false, got 1"],
    [
      "BAD_ARGUMENT",
      () => loaderOf({ order: "randprm" as never }),
      'order: expected "torch-dataloader" or "randperm", got "randprm", did you mean randperm?',
    ],
    [
      "BAD_ARGUMENT",
      () => loaderOf({ order: null as never }),
      'order: expected "torch-dataloader" or "randperm", got null',
    ],
    [
      "BAD_ARGUMENT",
      () => loaderOf({ order: true as never }),
      'order: expected "torch-dataloader" or "randperm", got true',
    ],
    ["BAD_ARGUMENT", () => loaderOf({ dropLast: "no" as never }), 'dropLast: expected true or false, got "no"'],
    [
      "BAD_ARGUMENT",
      () => loaderOf({ batchSize: 11, dropLast: true }),
      "batchSize: expected at most the 10 samples, as the last short batch is dropped, got 11",
    ],
    ["BAD_ARGUMENT", () => loaderOf().epoch().batch(1), "i: expected a whole number from 0 to 0, got 1"],
    ["BAD_ARGUMENT", () => loaderOf().epoch().batch(-1), "i: expected a whole number from 0 to 0, got -1"],
    ["BAD_ARGUMENT", () => loaderOf().epoch().shard(0, 5, 2), "shard: expected a whole number from 0 to 1, got 5"],
    [
      "BAD_ARGUMENT",
      () => loaderOf().epoch().shard(0, 0, 1.5),
      "shards: expected a whole number of at least 1, got 1.5",
    ],
    ["BAD_DTYPE", () => shuffling.epochFrom(null), "order: expected an Int32Array, got null"],
    ["BAD_ARGUMENT", () => from(0, 1, 2), "order: expected 10 indices, got 3"],
    ["BAD_ARGUMENT", () => from(0, 1, 2, 3, 1, 5, 6, 7, 8, 9), "order[4]: expected each index once, got 1 again"],
    [
      "BAD_ARGUMENT",
      () => from(0, 1, 2, 3, 10, 5, 6, 7, 8, 9),
      "order[4]: expected a whole number from 0 to 9, got 10",
    ],
  ])("%s %#", async (code, body, text) => {
    expect(await refusal(code, body)).toBe(text);
  });
});
