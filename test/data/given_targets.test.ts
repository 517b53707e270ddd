import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import {
  createNetwork,
  distill,
  evaluate,
  loadData,
  loadNetwork,
  logitsFile,
  manualSeed,
  predict,
  preprocessingOf,
  readSamples,
  type TablePreprocessing,
  trainTeacher,
  type ValuePrediction,
  type VectorEvaluation,
  writeLogits,
} from "../../src/index.js";
import { expectClose } from "../parity/close.js";
import { npy } from "./numpy_support.js";
import { folderOf, refusal } from "./support.js";

const FOLDER = fileURLToPath(new URL("../models/fixtures/bert", import.meta.url));
const TOKENIZER = fileURLToPath(new URL("fixtures/tokenizer/wordpiece.json", import.meta.url));
const textEncoding = `tokenizer(file=${JSON.stringify(TOKENIZER)}, length=16)`;
const bytes = (text: string) => Uint8Array.from(Buffer.from(text));

const WORDS = ["fox", "dog", "puzzle", "cards", "chess", "network", "files", "piano"];
const TEXTS = Array.from({ length: 60 }, (_, i) => `the ${WORDS[i % 8]} and a ${WORDS[(3 * i + (i >> 3)) % 8]}`);

/** A folder with texts as a table of two forms, and their vectors by the tiny BERT. */
async function files() {
  const lines = TEXTS.map((text, i) => `${i % 2 ? "even" : "odd"},${text}`);
  const folder = folderOf({
    "t.csv": bytes(["section,text", ...lines].join("\n")),
    "alone.jsonl": bytes(TEXTS.map((text) => JSON.stringify({ text })).join("\n")),
    "new.jsonl": bytes('{"text": "a fox and cards"}\n{"text": ""}\n'),
  });
  const at = (name: string) => join(folder, name);
  const { train } = await loadData(at("t.csv"), { testFraction: 0, textEncoding });
  const network = await loadNetwork(join(FOLDER, "model.safetensors"), { network: "bert", shape: [16] });
  const written = await writeLogits(network, train, at("vectors.npy"), { batchSize: 7 });
  return { at, network: network.eval(), train, written };
}

test("an encoder's vectors are written, and are the targets of a student that reads hashed n-grams", async () => {
  const { at, network, train: read, written } = await files();
  expect(written).toMatchObject({ samples: 60, classes: 12 });
  const hashed = { textEncoding: "hash(buckets=500, characters=[], length=8)", targets: at("vectors.npy") };
  for (const name of ["t.csv", "alone.jsonl"]) {
    const { train } = await loadData(at(name), { testFraction: 0, ...hashed });
    expect([train.task, train.classes, train.shape, train.length]).toEqual(["vectors", 12, [8], 60]);
    const whole = train.slice(0, 60);
    expectClose(whole.targets?.data ?? [], network.forward(read.slice(0, 60).inputs).data, { abs: 1e-6 });
    manualSeed(1);
    const student = createNetwork("text_bag(buckets=500, dim=16, hidden=32)", { shape: [8], classes: 12 });
    const options = { epochs: 150, lr: 0.02, batchSize: 20 };
    if (name === "t.csv")
      await distill({ teacher: await logitsFile(at("vectors.npy")), student, data: train, ...options });
    else await trainTeacher({ model: student, data: train, ...options });
    expect(evaluate<VectorEvaluation>(student, train).cosine).toBeGreaterThan(0.97);
    const spec = preprocessingOf(train) as TablePreprocessing;
    expect(spec.label.name).toBe("vectors.npy");
    const { inputs, labels } = await readSamples(at("new.jsonl"), spec);
    expect([inputs.shape, labels]).toEqual([[2, 8], null]);
    const [{ values }] = predict<ValuePrediction>(student, inputs, { preprocessing: spec });
    expect(values).toHaveLength(12);
    // As evaluate reads them for the student.
    const again = await loadData(at(name), { testFraction: 0, targets: at("vectors.npy"), preprocessing: spec });
    expect(again.train.slice(0, 60).inputs.data).toEqual(whole.inputs.data);
    expect(again.train.slice(0, 60).targets?.data).toEqual(whole.targets?.data);
  }
});

test("tables without names have targets beside them too, and are read again, with a label's column or without", async () => {
  const { at } = await files();
  const bare = TEXTS.map((text, i) => `${i % 2 ? "even" : "odd"},${text}`).join("\n");
  const folder = folderOf({
    "bare.csv": bytes(bare),
    "numbers.csv": bytes(TEXTS.map((t, i) => `${i},${t}`).join("\n")),
  });
  const options = { testFraction: 0, targets: at("vectors.npy"), textColumn: 1 };
  const named = (await loadData(at("t.csv"), options)).train.slice(0, 60);
  for (const [name, more] of [
    ["bare.csv", { header: false }],
    ["numbers.csv", { header: false }],
    // Whose first line is found to name nothing.
    ["numbers.csv", {}],
  ] as const) {
    const file = join(folder, name);
    const { train } = await loadData(file, { ...options, ...more });
    const whole = train.slice(0, 60);
    expect(whole.inputs.data).toEqual(named.inputs.data);
    expect(whole.targets?.data).toEqual(named.targets?.data);
    const preprocessing = preprocessingOf(train) as TablePreprocessing;
    const again = (await loadData(file, { testFraction: 0, targets: at("vectors.npy"), preprocessing })).train;
    expect(again.slice(0, 60).inputs.data).toEqual(named.inputs.data);
    expect(again.slice(0, 60).targets?.data).toEqual(named.targets?.data);
    const { inputs, labels } = await readSamples(file, preprocessing);
    expect(inputs.data).toEqual(named.inputs.data);
    expect(labels).toBeNull();
  }
});

test("a test part is held out with its targets", async () => {
  const { at } = await files();
  const { train, test } = await loadData(at("t.csv"), { testFraction: 0.25, targets: at("vectors.npy"), stream: true });
  expect([train.length, test?.length]).toEqual([45, 15]);
  const raw = new Float32Array(Uint8Array.from(readFileSync(at("vectors.npy")).subarray(-60 * 12 * 4)).buffer);
  const batch = test?.slice(0, 1);
  const row = Array.from(batch?.targets?.data ?? []);
  expect(Array.from({ length: 60 }, (_, i) => [...raw.subarray(12 * i, 12 * i + 12)])).toContainEqual(row);
});

describe("refuses", () => {
  test("targets of another width or task than the network's", async () => {
    const { at } = await files();
    const narrow = join(folderOf({ "narrow.npy": npy([60, 10], new Float32Array(600).fill(0.5)) }), "narrow.npy");
    const load = (options: object, again: object) => async () => {
      const { train: read } = await loadData(at("t.csv"), { testFraction: 0, ...options });
      await loadData(at("t.csv"), { testFraction: 0, preprocessing: preprocessingOf(read), ...again });
    };
    const given = { targets: at("vectors.npy") };
    expect(await refusal("BAD_DATA", load(given, { targets: narrow }))).toContain(
      "narrow.npy: targets: the network was trained for vectors with 12 dimensions, these are vectors with 10 dimensions",
    );
    expect(await refusal("BAD_DATA", load({ labelColumn: "section" }, given))).toContain(
      "vectors.npy: targets: the network was trained for classification with 2 classes, these are vectors with 12",
    );
    // The task is the network's, unless another is named.
    await load({ ...given, task: "regression" }, given)();
    expect(await refusal("BAD_DATA", load({ ...given, task: "regression" }, { ...given, task: "vectors" }))).toContain(
      "trained for regression with 12 targets, these are vectors",
    );
  });

  test("another number of rows, labels beside them, other tables, and tasks", async () => {
    const { at } = await files();
    const load = (name: string, options: object) => () =>
      loadData(name, { testFraction: 0, targets: at("vectors.npy"), ...options });
    expect(await refusal("BAD_DATA", load(at("new.jsonl"), { textColumn: "text" }))).toContain(
      "vectors.npy: expected 2 rows of targets, one a sample, got 60",
    );
    expect(await refusal("BAD_ARGUMENT", load(at("t.csv"), { labelColumn: "section" }))).toContain(
      "targets: expected no label column if targets is given",
    );
    expect(await refusal("BAD_ARGUMENT", load(at("t.csv"), { task: "classification" }))).toContain(
      "targets: expected another task than classification",
    );
    const numbers = join(folderOf({ "n.csv": bytes("a,b\n1,2\n3,4\n") }), "n.csv");
    expect(await refusal("BAD_ARGUMENT", load(numbers, {}))).toContain("targets: expected a table of texts");
    expect(await refusal("NOT_FOUND", load(at("t.csv"), { targets: "none.npy" }))).toContain("none.npy");
  });
});
