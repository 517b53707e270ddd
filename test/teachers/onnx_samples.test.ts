import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { takeBatch, takeSlice } from "../../src/data/take_batch.js";
import {
  createNetwork,
  type Dataset,
  Generator,
  loadData,
  type Module,
  onnxTeacher,
  saveOnnx,
  TensorDataset,
  tensor,
  trainTeacher,
} from "../../src/index.js";
import { folderOf } from "../data/support.js";
import { Of } from "../export/networks.js";
import { drawingFrom } from "../helpers/drawing_from.js";
import { failure, temporaryFolder } from "../support.js";

const TOKENIZER = fileURLToPath(new URL("../data/fixtures/tokenizer/wordpiece.json", import.meta.url));
const temporary = temporaryFolder();

describe("a network of tokens, and data of hashed words", () => {
  const WORDS = ["play", "chess", "with", "cards", "games", "a", "tool", "for", "text"];
  const lines = Array.from({ length: 40 }, (_, i) => {
    const text = Array.from({ length: 1 + (i % 6) }, (_, k) => WORDS[(i * 7 + k * 3) % 9]).join(" ");
    return JSON.stringify({ text, label: "ab"[i % 2] });
  });
  const path = join(folderOf({ "t.jsonl": Uint8Array.from(Buffer.from(lines.join("\n"))) }), "t.jsonl");
  const read = async (textEncoding: string) => (await loadData(path, { testFraction: 0, textEncoding })).train;
  const file = join(temporary, "tokens.onnx");
  let [network, tokens, hashed]: [Module, Dataset, Dataset] = [] as never;

  beforeAll(async () => {
    tokens = await read(`tokenizer(file=${JSON.stringify(TOKENIZER)}, length=16)`);
    hashed = await read("hash(buckets=160, length=16)");
    network = await drawingFrom(new Generator(3), async () => {
      const model = createNetwork("text_transformer(layers=1, dim=8, heads=2, buckets=160)", {
        shape: [16],
        classes: 2,
      });
      await trainTeacher({ model, data: tokens, epochs: 2, lr: 0.05, batchSize: 16 });
      return model.eval();
    });
    await saveOnnx(network, file);
  });

  test("it reads the texts by its own ids: computed once, and step by step", async () => {
    const wanted = network.forward(tokens.slice(0, 40).inputs).data;
    const teacher = await onnxTeacher(file);
    teacher.open?.({ data: hashed, taps: [] });
    const all = takeSlice(hashed, 0, 40);
    const live = (await teacher.outputs(all)).logits.data;
    await teacher.prepare?.({ out: null });
    const kept = (await teacher.outputs(all)).logits.data;
    expect([live.length, kept]).toEqual([80, live]);
    for (const [i, value] of live.entries()) expect(value).toBeCloseTo(wanted[i], 5);
    const byHashes = network.forward(all.inputs).data;
    expect(live.some((value, i) => Math.abs(value - byHashes[i]) > 1e-3)).toBe(true);
  });

  test("data that do not keep their texts are refused", async () => {
    const { inputs, labels } = hashed.slice(0, 4);
    const { name, table } = hashed;
    const bare = Object.assign(new TensorDataset(inputs, labels, { classNames: ["a", "b"], name }), { table });
    const teacher = await onnxTeacher(file);
    const open = async () => teacher.open?.({ data: bare, taps: [] });
    expect((await failure(open(), "BAD_ARGUMENT")).message).toBe(
      `${file}: reads texts by another encoding than t, which does not keep its texts: loadData does`,
    );
  });
});

test("an error names the sample of the data, whatever its place in a batch", async () => {
  const file = join(temporary, "log.onnx");
  await saveOnnx(new Of((x) => x.log()), file, { features: 2 });
  const values = tensor([
    [1, 2],
    [3, 4],
    [5, -6],
    [7, 8],
  ]);
  const teacher = await onnxTeacher(file);
  const data = new TensorDataset(values, Int32Array.of(0, 1, 0, 1));
  teacher.open?.({ data, taps: [] });
  const asked = async () => teacher.outputs(takeBatch(data, Int32Array.of(3, 2)));
  expect((await failure(asked(), "NON_FINITE")).message).toBe(
    `${file}: sample 2, class 1: expected a finite number, got NaN`,
  );
});
