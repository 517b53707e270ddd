import { join } from "node:path";
import { expect, test } from "vitest";
import {
  createNetwork,
  distill,
  EmbeddingBag,
  Linear,
  loadData,
  Mlp,
  Module,
  manualSeed,
  networkFrom,
  Sequential,
  type Tensor,
  TensorDataset,
  TextBag,
  tensor,
  trainTeacher,
} from "../../src/index.js";
import { weightsMetadata } from "../../src/models/create_network.js";
import { folderOf, refusal } from "../data/support.js";

const IDS = tensor([
  [1, 2, 0],
  [3, 0, 0],
  [0, 0, 0],
]);

test("is the mean of the rows that are no padding, then linear layers", () => {
  manualSeed(1);
  const network = new TextBag({ buckets: 4, dim: 2, hidden: 3, classes: 2 });
  expect(Object.keys(network.stateDict())).toEqual(["bag.weight", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]);
  const table = network.bag.weight.data;
  expect(Math.max(...table.map(Math.abs))).toBeLessThanOrEqual(0.5);
  expect([...table.slice(0, 2)]).toEqual([0, 0]);
  const mean = [0, 1].map((j) => Math.fround((table[2 + j] + table[4 + j]) / 2));
  const bags = tensor([mean, [...table.slice(6, 8)], [0, 0]]);
  const expected = network.fc2?.forward(network.fc1.forward(bags).relu());
  for (const [i, x] of (expected?.data ?? []).entries()) expect(network.forward(IDS).data[i]).toBeCloseTo(x, 6);
  const again = networkFrom(network.stateDict(), { network: "text_bag(buckets=4, dim=2, hidden=3)", shape: [3] });
  expect(again.forward(IDS).data).toEqual(network.forward(IDS).data);
});

test.each(["text_bag", "text_transformer"])(
  "%s has a row for each id of the texts, which its file keeps",
  async (name) => {
    const context = { shape: [20], classes: 2 };
    const rows = (network: string, more = {}) => createNetwork(network, { ...context, ...more }).vocabulary;
    const named = `${name}(dim=4)`;
    expect(rows(named)).toBe(32_768);
    expect(rows(`${name}(dim=4, buckets=600)`, { vocabulary: 500 })).toBe(600);
    const network = createNetwork(named, { ...context, vocabulary: 500 });
    expect(network.vocabulary).toBe(500);
    const metadata = weightsMetadata(network);
    expect(metadata["distillery.network"]).toContain("buckets=500");
    for (const text of [undefined, named, `${name}(dim=4, buckets=500)`]) {
      const again = networkFrom(network.stateDict(), { metadata, ...(text !== undefined && { network: text }) });
      expect(again.stateDict()).toEqual(network.stateDict());
    }
    expect(
      await refusal("BAD_CHECKPOINT", () =>
        networkFrom(network.stateDict(), { metadata, network: `${name}(dim=4, buckets=600)` }),
      ),
    ).toContain("buckets=500");
    expect(await refusal("BAD_ARGUMENT", () => rows(named, { vocabulary: 1 }))).toBe(
      "vocabulary: expected a whole number from 2 to 16777216, got 1",
    );
  },
);

/** A network of one's own, whose vocabulary is that of its embedding. */
class Own extends Module {
  readonly layers = new Sequential(new EmbeddingBag(500, 4, { paddingIdx: 0, sparse: true }), new Linear(4, 2));

  override forward(ids: Tensor): Tensor {
    return this.layers.forward(ids);
  }
}

test("networks of one's own learn texts, and ids in tensors are plain numbers", async () => {
  const lines = Array.from({ length: 40 }, (_, i) => `${i % 2 ? "cat dog" : "sun moon"} ${i % 3},${"ab"[i % 2]}`);
  const path = join(folderOf({ "t.csv": Uint8Array.from(Buffer.from(["text,label", ...lines].join("\n"))) }), "t.csv");
  const { train } = await loadData(path, { testFraction: 0, textEncoding: "hash(buckets=500, length=20)" });
  const [own, teacher] = [new Own(), createNetwork("text_bag(buckets=500)", { shape: [20], classes: 2 })];
  expect([own.vocabulary, teacher.vocabulary, new Linear(2, 2).vocabulary]).toEqual([500, 500, null]);
  const options = { epochs: 20, lr: 0.05, batchSize: 10 };
  await trainTeacher({ model: teacher, data: train, ...options });
  const { history } = await distill({ student: own, teacher, data: train, validation: train, ...options });
  expect(history.at(-1)?.metrics.validationAccuracy).toBe(1);
  const student = new TextBag({ buckets: 4, dim: 2, classes: 2 });
  await trainTeacher({ model: student, data: new TensorDataset(IDS, Int32Array.of(0, 1, 0)), epochs: 1 });
  const small = new TextBag({ buckets: 100, classes: 2 });
  expect(await refusal("SHAPE_MISMATCH", () => trainTeacher({ model: small, data: train, epochs: 1 }))).toBe(
    "the model: its table has 100 rows, the encoding of t 500 ids: give both the same buckets",
  );
  const numbers = new Mlp({ inFeatures: 20, classes: 2 });
  expect(await refusal("BAD_ARGUMENT", () => trainTeacher({ model: numbers, data: train, epochs: 1 }))).toContain(
    "takes numbers, and t has texts, which are ids",
  );
});
