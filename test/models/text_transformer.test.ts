import { join } from "node:path";
import { expect, test } from "vitest";
import { GraphModule, traceModule } from "../../src/graph/index.js";
import {
  createNetwork,
  distill,
  evaluate,
  exportOnnx,
  loadData,
  type Module,
  manualSeed,
  networkFrom,
  noGrad,
  type Tensor,
  TextTransformer,
  tensor,
  trainTeacher,
} from "../../src/index.js";
import { folderOf, refusal } from "../data/support.js";
import { exported } from "../export/js/support.js";
import { relativeError, run } from "../export/support.js";

const OPTIONS = { layers: 2, dim: 8, heads: 2, hidden: 12, buckets: 9, length: 5, classes: 3 };
const TEXT = "text_transformer(layers=2, dim=8, heads=2, hidden=12, buckets=9)";
const IDS = tensor([
  [1, 2, 3, 0, 0],
  [8, 7, 6, 5, 4],
  [0, 0, 0, 0, 0],
  [4, 0, 4, 0, 0],
]);
/** The first text, shorter. */
const SHORT = [1, 2, 3];

function make(): TextTransformer {
  manualSeed(3);
  const network = new TextTransformer(OPTIONS).eval();
  // So that positions and attention tell.
  for (const [name, { data }] of network.namedParameters()) {
    if (name === "positions" || name === "tokens.weight") data.set(data.map((x) => 30 * x));
  }
  return network;
}

const logitsOf = (network: Module, ids: Tensor) => noGrad(() => network.forward(ids));

test("keys and initial values; networkFrom makes it again", () => {
  const network = make();
  const keys = Object.keys(network.stateDict());
  expect(keys.slice(0, 4)).toEqual([
    "positions",
    "tokens.weight",
    "layers.0.self_attn.in_proj_weight",
    "layers.0.self_attn.in_proj_bias",
  ]);
  expect(keys.slice(-4)).toEqual(["norm.weight", "norm.bias", "fc.weight", "fc.bias"]);
  const again = networkFrom(network.stateDict(), { network: TEXT, shape: [5], classes: 3 }).eval();
  expect(logitsOf(again, IDS).data).toEqual(logitsOf(network, IDS).data);
  const { data } = new TextTransformer({ ...OPTIONS, buckets: 5000, dim: 64 }).tokens.weight;
  expect(Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length)).toBeCloseTo(0.02, 3);
});

test("padding does not matter: a text alone, shorter, has the same logits", () => {
  const network = make();
  const narrow = new TextTransformer({ ...OPTIONS, length: 3 }).eval();
  narrow.loadStateDict({ ...network.stateDict(), positions: network.positions.slice(0, 3) });
  const [long, short] = [logitsOf(network, IDS).data.subarray(0, 3), logitsOf(narrow, tensor([SHORT])).data];
  for (const [i, x] of short.entries()) expect(long[i]).toBeCloseTo(x, 6);
  // The logits of a text without ids are those of a mean of 0: the bias.
  expect([...logitsOf(network, IDS).data.subarray(6, 9)]).toEqual([...(network.fc.bias?.data ?? [])]);
});

test("the graph, ONNX and JavaScript give the same logits", async () => {
  const network = make();
  const logits = logitsOf(network, IDS).data;
  const graph = new GraphModule(traceModule(network, [5], { training: false }));
  expect(relativeError(logitsOf(graph, IDS).data, logits, 3)).toBeLessThan(1e-6);
  const { data } = await run(exportOnnx(network, { features: 5 }), IDS.data, 5, 4);
  expect(relativeError(data, logits, 3)).toBeLessThan(1e-5);
  const { forward } = exported(network, { features: 5 });
  const rows = Array.from({ length: 4 }, (_, i) => [...forward(IDS.data.slice(5 * i, 5 * i + 5))]);
  expect(relativeError(Float32Array.from(rows.flat()), logits, 3)).toBeLessThan(1e-5);
});

test("learns what the order of words says, which a bag of them can't", async () => {
  const lines = Array.from({ length: 120 }, (_, i) => {
    const [one, two] = i % 2 ? ["cat", "dog"] : ["dog", "cat"];
    return `${"so ".repeat(i % 3)}${one} saw ${two}${" then".repeat(i % 5)},${"ab"[i % 2]}`;
  });
  const path = join(folderOf({ "t.csv": Uint8Array.from(Buffer.from(["text,label", ...lines].join("\n"))) }), "t.csv");
  const textEncoding = "hash(buckets=50, words=1, characters=[], length=12)";
  const { train } = await loadData(path, { testFraction: 0, textEncoding });
  manualSeed(1);
  const model = createNetwork("text_transformer(layers=1, dim=16, heads=2, buckets=50)", { shape: [12], classes: 2 });
  const { history } = await trainTeacher({
    ...{ model, data: train, validation: train, optimizer: "adamw" },
    ...{ epochs: 20, lr: 0.01, batchSize: 20 },
  });
  expect(history.at(-1)?.metrics.validationAccuracy).toBe(1);
});

test("refuses heads that do not share dim, and options that do not exist", async () => {
  const make = (text: string) => () => createNetwork(text, { shape: [5], classes: 2 });
  expect(await refusal("BAD_ARGUMENT", make("text_transformer(dim=6, heads=4)"))).toContain("embedDim");
  expect(await refusal("BAD_ARGUMENT", make("text_transformer(dropout=2)"))).toContain("dropout: expected a chance");
  expect(await refusal("BAD_ARGUMENT", make("text_transformer(layer=2)"))).toContain("did you mean layers?");
});

test("an encoding with negative ids is refused before the run; text_bag subtracts their rows", async () => {
  const rows = Array.from({ length: 24 }, (_, i) =>
    JSON.stringify({ text: `word${i} of ${i % 5}`, label: "ab"[i % 2] }),
  );
  const path = join(folderOf({ "t.jsonl": Uint8Array.from(Buffer.from(rows.join("\n"))) }), "t.jsonl");
  const { train } = await loadData(path, { testFraction: 0, textEncoding: "hash(buckets=50, length=5, signed=true)" });
  expect(train.slice(0, 24).inputs.data.some((id) => id < 0)).toBe(true);
  const model = (text: string) => createNetwork(text, { shape: [5], classes: 2 });
  const training = (text: string) => () => trainTeacher({ model: model(text), data: train, epochs: 1 });
  const transformer = "text_transformer(layers=1, dim=4, heads=1, buckets=50)";
  const refused = await refusal("BAD_ARGUMENT", training(transformer));
  expect(refused).toContain(
    "its table is an Embedding, and the encoding of t has negative ids, which only an EmbeddingBag takes: use an encoding without signed=true",
  );
  const student = model("text_bag(buckets=50, dim=4)");
  const distilling = () => distill({ teacher: model(transformer), student, data: train, epochs: 1 });
  expect(await refusal("BAD_ARGUMENT", distilling)).toContain("teacher: its table is an Embedding");
  expect(() => evaluate(model(transformer), train)).toThrow("model: its table is an Embedding");
  await training("text_bag(buckets=50, dim=4)")();
});
