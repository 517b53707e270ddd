import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { FrozenModel, GraphModule, traceModule } from "../../src/graph/index.js";
import {
  Bert,
  createNetwork,
  crossEntropy,
  type DistillationLoss,
  distill,
  evaluate,
  exportOnnx,
  frozen,
  Generator,
  IntTensor,
  live,
  loadData,
  type Module,
  manualSeed,
  networkFrom,
  noGrad,
  type Outputs,
  type Teacher,
  type Tensor,
  TensorDataset,
  TextTransformer,
  tensor,
  trainTeacher,
  withGenerator,
  zeros,
} from "../../src/index.js";
import { mseLoss } from "../../src/nn/functional.js";
import { hook, Taps } from "../../src/nn/taps.js";
import { folderOf, refusal } from "../data/support.js";
import { exported } from "../export/js/support.js";
import { relativeError, run } from "../export/support.js";
import { expectClose } from "../parity/close.js";

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

test("the logits of PyTorch's modules, with the weights that a seed draws", () => {
  const file = new URL("fixtures/text_transformer.json", import.meta.url);
  expectClose(logitsOf(make(), IDS).data, JSON.parse(readFileSync(file, "utf8")), { abs: 1e-6 });
});

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

describe("padding behind the longest text of a batch is left out", () => {
  const LENGTH = 40;
  const ids = (length: number, ...texts: readonly number[]) => {
    const x = zeros([texts.length, length]);
    for (const [row, count] of texts.entries()) {
      for (let i = 0; i < count; i++) x.data[row * length + i] = 1 + ((7 * i + row) % 8);
    }
    return x;
  };
  const bert = { layers: 2, dim: 8, heads: 2, hidden: 12, buckets: 9, positions: 600 };
  const of = (length: number, dropout = 0) => {
    manualSeed(3);
    return [new TextTransformer({ ...OPTIONS, dropout, length }), new Bert(bert)] as const;
  };

  test.each([
    [LENGTH, 5],
    [LENGTH, 21],
    [300, 200],
    [400, 100],
    [400, 250],
    [600, 300],
  ])("of %d ids, %d at most are there: the bits are those of the whole, as a graph computes it", (length, longest) => {
    for (const network of of(length)) {
      network.eval();
      const x = ids(length, 3, longest, 0);
      const graph = new GraphModule(traceModule(network, [length], { training: false, rows: 0 }));
      expect(logitsOf(network, x).data).toEqual(logitsOf(graph, x).data);
      expect(logitsOf(network, x.slice(0, 1)).data).toEqual(logitsOf(graph, x.slice(0, 1)).data);
    }
  });

  test("gradients are those of a network that reads no more", () => {
    const gradients = (length: number) => {
      const [network] = of(LENGTH);
      const narrow = new TextTransformer({ ...OPTIONS, dropout: 0, length });
      narrow.loadStateDict({ ...network.stateDict(), positions: network.positions.slice(0, length) });
      const own = length === LENGTH ? network : narrow;
      crossEntropy(own.forward(ids(length, 3, 8)), Int32Array.of(0, 2)).backward();
      return own.namedParameters().map(([name, { grad }]) => [name, [...(grad?.data ?? [])]] as const);
    };
    const narrow = new Map(gradients(8));
    for (const [name, grad] of gradients(LENGTH)) {
      const wanted = narrow.get(name) ?? [];
      expect(grad.slice(0, wanted.length)).toEqual(wanted);
      expect(grad.slice(wanted.length).every((x) => x === 0)).toBe(true);
    }
  });

  test("a teacher in train mode draws for all of it, as its graph does", () => {
    const [network] = of(LENGTH, 0.5);
    const inputs = ids(LENGTH, 3, 8);
    const batch = { inputs, labels: new IntTensor(Int32Array.of(0, 1)), indices: Int32Array.of(0, 1) };
    const outputs = (teacher: Teacher) => withGenerator(new Generator(1), () => teacher.outputs(batch) as Outputs);
    const [one, other] = [live, frozen].map((teacher) => outputs(teacher(network, { mode: "train" })));
    expect(one.logits.data).toEqual(other.logits.data);
  });

  test.each([live, frozen])("not while a loss reads hidden outputs of tokens, %o", async (kind) => {
    const layer = "layers.0";
    const [teacher] = of(LENGTH);
    manualSeed(4);
    const student = new TextTransformer({ ...OPTIONS, dropout: 0, length: LENGTH });
    const data = new TensorDataset(ids(LENGTH, 3, 8), Int32Array.of(0, 2));
    // A graph has the whole length.
    const whole = (network: Module) => {
      const model = FrozenModel.from(network, [LENGTH], { training: false, taps: [layer] });
      return model.take(ids(LENGTH, 3, 8), new Generator()).taps[layer];
    };
    const wanted = mseLoss(whole(student), whole(teacher)).item();
    const loss: DistillationLoss = {
      name: "tokens",
      needsTeacher: true,
      taps: { student: [layer], teacher: [layer] },
      config: () => "tokens",
      compute: ({ student, teacher }) => ({ loss: mseLoss(student.taps[layer], teacher.taps[layer]), metrics: {} }),
    };
    const run = { teacher: kind(teacher, { taps: [layer] }), student, data, loss, epochs: 1, batchSize: 2 };
    const { history } = await distill(run);
    expect(wanted).toBeGreaterThan(0.01);
    expect(history[0].metrics.loss).toBeCloseTo(wanted, 6);
  });

  test("what the last layer reads has no tokens: then it is left out", () => {
    const [network] = of(LENGTH);
    const lengths: number[] = [];
    const tapped = (paths: string[]) =>
      new Taps(network.eval(), paths, "network").record(() => logitsOf(network, ids(LENGTH, 3, 8))).taps;
    const undo = hook(network.layers[1], ({ shape }) => lengths.push(shape[1]));
    const { "fc:input": whole } = tapped(["fc:input", "layers.0"]);
    expect(tapped(["fc:input"])["fc:input"].data).toEqual(whole.data);
    undo();
    expect(lengths).toEqual([LENGTH, 8]);
  });
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
    model,
    data: train,
    validation: train,
    optimizer: "adamw",
    epochs: 20,
    lr: 0.01,
    batchSize: 20,
  });
  expect(history.at(-1)?.metrics.validationAccuracy).toBe(1);
});

test("refuses heads that do not share dim, and options that do not exist", async () => {
  const make = (text: string) => () => createNetwork(text, { shape: [5], classes: 2 });
  expect(await refusal("BAD_ARGUMENT", make("text_transformer(dim=6, heads=4)"))).toContain(
    "network: text_transformer: dim: expected a multiple of the 4 heads, got 6",
  );
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
