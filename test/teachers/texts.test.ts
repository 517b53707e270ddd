import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { TEXT_ENCODINGS } from "../../src/data/text/encodings.js";
import {
  type Batch,
  createNetwork,
  type Dataset,
  distill,
  Ensemble,
  evaluate,
  Generator,
  getNumThreads,
  live,
  loadData,
  loadNetwork,
  logitsFile,
  type Module,
  Subset,
  setNumThreads,
  type TeacherBatch,
  TeacherCache,
  TensorDataset,
  trainTeacher,
  withGenerator,
  writeLogits,
} from "../../src/index.js";
import { recordOf, setRecord, type TrainingRecord } from "../../src/models/training_record.js";
import { folderOf, refusal } from "../data/support.js";
import { drawingFrom } from "../helpers/drawing_from.js";
import { temporaryFolder } from "../support.js";
import { timeless } from "../train/support.js";

const BERT = fileURLToPath(new URL("../models/fixtures/bert", import.meta.url));
const TOKENIZER = fileURLToPath(new URL("../data/fixtures/tokenizer/wordpiece.json", import.meta.url));
const HASH = "hash(buckets=60, length=9)";
const temporary = temporaryFolder();
const WORDS = ["play", "chess", "with", "cards", "games", "a", "tool", "for", "text", ""];
const TEXTS = Array.from({ length: 40 }, (_, i) =>
  Array.from({ length: 1 + (i % 6) }, (_, k) => WORDS[(i * 7 + k * 3) % 10])
    .join(" ")
    .trim(),
);
const path = join(
  folderOf({
    "t.jsonl": Uint8Array.from(
      Buffer.from(TEXTS.map((text, i) => JSON.stringify({ text, label: "ab"[i % 2] })).join("\n")),
    ),
  }),
  "t.jsonl",
);
const read = async (textEncoding: string, more: object = {}) =>
  (await loadData(path, { testFraction: 0, textEncoding, ...more })).train;
const TOKENS = `tokenizer(file=${JSON.stringify(TOKENIZER)}, length=16)`;

let tokens: Dataset;
let hashed: Dataset;
/** Of the tokenizer's ids. */
let teacher: Module;

beforeAll(async () => {
  [tokens, hashed] = [await read(TOKENS), await read(HASH)];
  teacher = await drawingFrom(new Generator(3), async () => {
    const model = createNetwork("text_transformer(layers=1, dim=8, heads=2, buckets=160)", { shape: [16], classes: 2 });
    await trainTeacher({ model, data: tokens, epochs: 2, lr: 0.05, batchSize: 16 });
    return model;
  });
});

/** What the teacher says of the texts by its own ids. */
async function ownLogits(): Promise<string> {
  const file = join(temporary, "own.npy");
  await writeLogits(teacher, tokens, file, { overwrite: true });
  return file;
}

const run = (options: Partial<Parameters<typeof distill>[0]> = {}) =>
  drawingFrom(new Generator(5), async () => {
    const student = createNetwork("text_bag(buckets=60, dim=4)", { shape: [9], classes: 2 });
    const { history } = await distill({
      teacher,
      student,
      data: hashed,
      epochs: 2,
      batchSize: 16,
      lr: 0.05,
      ...options,
    });
    const weights = student.parameters().map(({ data }) => [...data]);
    return { history: history.map(timeless), weights };
  });

describe("a teacher of tokens and a student of hashed words", () => {
  test("the teacher reads its own ids: the bits of its logits from a file; cached, live, by one thread", async () => {
    const { weights } = await run({ teacher: await logitsFile(await ownLogits()) });
    expect((await run()).weights).toEqual(weights);
    expect((await run({ teacherCache: false })).weights).toEqual(weights);
    expect((await run({ teacher: live(teacher) })).weights).toEqual(weights);
    const threads = getNumThreads();
    setNumThreads(1);
    try {
      expect((await run({ teacherCache: false })).weights).toEqual(weights);
    } finally {
      setNumThreads(threads);
    }
  });

  test("interrupted and resumed", async () => {
    const whole = await run();
    const [out, controller] = [join(temporary, "resumed"), new AbortController()];
    const onStep = ({ step }: { step: number }) => step === 4 && controller.abort();
    await expect(run({ out, signal: controller.signal, onStep, checkpointEvery: 1 })).rejects.toThrow();
    expect(await run({ out, resume: true, checkpointEvery: 1 })).toEqual(whole);
  });

  test("the validation set and streamed data have their texts, too", async () => {
    const [training, validation] = [Int32Array.from({ length: 30 }, (_, i) => i), Int32Array.of(39, 31, 33)];
    const parts = (data: Dataset) => ({
      data: new Subset(data, training),
      validation: new Subset(data, validation),
    });
    const { history, weights } = await run(parts(hashed));
    const { agreement, teacherAccuracy } = evaluate(teacher, new Subset(tokens, validation), { teacher });
    expect([agreement, teacherAccuracy]).toEqual([1, evaluate(teacher, parts(hashed).validation).accuracy]);
    const given = await run({ ...parts(hashed), teacher: await logitsFile(await ownLogits()) });
    expect(given).toEqual({ history, weights });
    const streamed = await read(HASH, { stream: true });
    expect([...(streamed.texts?.(Int32Array.of(39, 0, 7, 7)) ?? [])]).toEqual([39, 0, 7, 7].map((i) => TEXTS[i]));
    expect(evaluate(teacher, streamed).accuracy).toBe(evaluate(teacher, tokens).accuracy);
  });

  test("each text is encoded once for all epochs, a step's and the next ones' that run ahead", async () => {
    const encode = vi.spyOn(TEXT_ENCODINGS.get("tokenizer"), "encode");
    // A copy, whose encoding nobody has used.
    const own = createNetwork("text_transformer(layers=1, dim=8, heads=2, buckets=160)", { shape: [16], classes: 2 });
    own.loadStateDict(teacher.stateDict());
    const record = recordOf(teacher) as TrainingRecord;
    setRecord(own, { ...record, preprocessing: structuredClone(record.preprocessing) });
    const { weights } = await run({ teacher: own, teacherCache: false, epochs: 3 });
    expect(encode.mock.calls.length).toBe(new Set(TEXTS).size);
    encode.mockRestore();
    expect(weights).toEqual((await run({ teacher: await logitsFile(await ownLogits()), epochs: 3 })).weights);
  });

  test("a function gets the texts", async () => {
    const seen = new Map<number, unknown>();
    const ask = ({ samples, indices }: TeacherBatch) =>
      Array.from(indices, (index, i) => {
        seen.set(index, samples[i]);
        return [0, 1];
      });
    await run({ teacher: ask });
    expect([...seen].sort(([a], [b]) => a - b)).toEqual(TEXTS.map((text, i) => [i, { text }]));
  });

  test("refused in one line: data without texts, and an average", async () => {
    const { name, table } = hashed;
    const ids = hashed.slice(0, 4);
    const bare: Dataset = Object.assign(new TensorDataset(ids.inputs, ids.labels, { classNames: ["a", "b"], name }), {
      table,
    });
    expect(await refusal("BAD_ARGUMENT", () => run({ data: bare }))).toBe(
      "teacher: reads texts by another encoding than t, which does not keep its texts: loadData does",
    );
    expect(await refusal("BAD_ARGUMENT", () => run({ teacher: new Ensemble([teacher, teacher]) }))).toBe(
      "teacher.networks[0]: reads texts by another encoding than t, which networks whose outputs are averaged have to share",
    );
    const network = live(teacher);
    network.open?.({ data: hashed, taps: [] });
    const { texts: _, ...batch }: Batch = hashed.slice(0, 4);
    expect(() => network.outputs(batch)).toThrow("expected a batch of a data set that has them");
  });
});

describe("BERT with its tokenizer.json beside its weights", () => {
  const beside = (tokenizer: string | null, length?: number) => {
    const folder = folderOf({
      ...(tokenizer !== null && { "tokenizer.json": Uint8Array.from(Buffer.from(tokenizer)) }),
      ...(length && { "sentence_bert_config.json": Uint8Array.from(Buffer.from(`{"max_seq_length": ${length}}`)) }),
    });
    for (const name of ["config.json", "model.safetensors"]) cpSync(join(BERT, name), join(folder, name));
    return join(folder, "model.safetensors");
  };
  const json = readFileSync(TOKENIZER, "utf8");
  const vectors = async (file: string, data: Dataset) => {
    const out = join(dirname(file), "v.npy");
    await writeLogits(await loadNetwork(file, { network: "bert" }), data, out, { overwrite: true });
    return readFileSync(out);
  };

  test("its vectors are those by the ids of its tokenizer, whatever the student reads", async () => {
    const file = beside(json, 16);
    const wanted = await vectors(file, tokens);
    expect(await vectors(file, hashed)).toEqual(wanted);
    // At most so many ids a text: the long ones have other vectors.
    expect(await vectors(beside(json, 4), hashed)).not.toEqual(wanted);
    const student = createNetwork("text_bag(buckets=60, dim=4)", { shape: [9], classes: 12 });
    const bert = await loadNetwork(file, { network: "bert" });
    writeFileSync(join(temporary, "v.npy"), wanted);
    const data = await read(HASH, { targets: join(temporary, "v.npy") });
    const { history } = await distill({ teacher: bert, student, data, validation: data, epochs: 1, batchSize: 16 });
    expect(history[0].metrics.validationLoss).toBeGreaterThan(0);
    expect(evaluate(bert, data)).toMatchObject({ cosine: expect.closeTo(1, 5) });
  });

  test.each(["t.csv", "t.jsonl"])("of a table of texts alone, %s, which trains nothing by itself", async (name) => {
    const lines =
      name === "t.csv" ? ["text", ...TEXTS.map((text) => `"${text}"`)] : TEXTS.map((text) => JSON.stringify({ text }));
    const path = join(folderOf({ [name]: Uint8Array.from(Buffer.from(lines.join("\n"))) }), name);
    const { train, test } = await loadData(path, { textEncoding: HASH });
    expect([train.length, test, train.unlabelled]).toEqual([40, null, true]);
    expect(await vectors(beside(json, 16), train)).toEqual(await vectors(beside(json, 16), tokens));
    const model = createNetwork("text_bag(buckets=60, dim=4)", { shape: [9], classes: 1 });
    expect(await refusal("BAD_ARGUMENT", () => trainTeacher({ model, data: train, epochs: 1 }))).toContain("no label");
  });

  test("another tokenizer.json or length is another teacher: of a file in part, of a run and of a cache", async () => {
    const { model, ...rest } = JSON.parse(json);
    const vocab = { ...model.vocab, play: model.vocab.chess, chess: model.vocab.play };
    const swapped = JSON.stringify({ ...rest, model: { ...model, vocab } });
    const named = (file: string) => loadNetwork(file, { network: "bert" });
    const file = beside(json, 16);
    const bert = await named(file);
    await vectors(file, hashed);
    const data = await read(HASH, { targets: join(dirname(file), "v.npy") });
    const cache = await TeacherCache.compute(bert, data);
    cache.expectOf(await named(beside(json, 16)), data);
    const hashOf = (network: Module, data: Dataset) => {
      const teacher = live(network);
      teacher.open?.({ data, taps: [] });
      return teacher.fingerprint();
    };
    for (const [i, beneath] of [beside(swapped, 16), beside(json, 4)].entries()) {
      const other = await named(beneath);
      expect(() => cache.expectOf(other, data)).toThrow("teacherCache: was computed from another teacher");
      expect(hashOf(other, hashed)).not.toBe(hashOf(bert, hashed));
      let asked = 0;
      const { signal } = new AbortController();
      Object.defineProperty(signal, "aborted", { get: () => ++asked > 1 });
      const out = join(temporary, `part${i}.npy`);
      await expect(writeLogits(bert, hashed, out, { signal, batchSize: 8 })).rejects.toThrow("after 8 samples");
      await writeLogits(other, hashed, out);
      expect(readFileSync(out)).toEqual(await vectors(beneath, hashed));
    }
    const resumed = async (teacher: Module, options: object = {}) => {
      const student = withGenerator(new Generator(5), () =>
        createNetwork("text_bag(buckets=60, dim=4)", { shape: [9], classes: 12 }),
      );
      const out = join(temporary, "swapped");
      return withGenerator(new Generator(5), () =>
        distill({ teacher, student, data, out, batchSize: 16, epochs: 1, ...options }),
      );
    };
    await resumed(bert);
    const message = await refusal("BAD_CONFIG", async () =>
      resumed(await named(beside(swapped, 16)), { resume: true, epochs: 2 }),
    );
    expect(message).toContain(
      "how the teacher reads texts (its tokenizer, or the ids that a text has at most) has changed",
    );
    expect(message).not.toContain("weights");
    // By the ids of the data only the weights count.
    expect(hashOf(await named(beside(json, 4)), tokens)).toBe(hashOf(bert, tokens));
  });

  test("a length that no file says is said", async () => {
    const notes: string[] = [];
    const onNote = (text: string) => notes.push(text);
    for (const file of [beside(json), beside(json, 16)]) {
      live(await loadNetwork(file, { network: "bert", onNote })).open?.({ data: hashed, taps: [] });
    }
    expect(notes).toEqual([expect.stringMatching(/texts are cut at \d+ ids: no sentence_bert_config.json/)]);
  });

  test("refused: more ids of its tokenizer than it has positions", async () => {
    const encoding = (length: number) => `tokenizer(file=${JSON.stringify(TOKENIZER)}, length=${length})`;
    const file = beside(json);
    expect(await refusal("BAD_ARGUMENT", async () => vectors(file, await read(encoding(65))))).toContain(
      "reads at most 64 ids a text, the encoding of t has 65: give that length=64 (--text-encoding)",
    );
    expect(await vectors(file, await read(encoding(64)))).toEqual(await vectors(file, hashed));
  });

  test("refused: a tokenizer.json whose id 0 is no padding", async () => {
    const { model, added_tokens, ...rest } = JSON.parse(json);
    const vocab = { ...model.vocab, "[PAD]": 4, "[MASK]": 0 };
    const added = added_tokens.map((token: { content: string }) => ({ ...token, id: vocab[token.content] }));
    const shifted = JSON.stringify({ ...rest, model: { ...model, vocab }, added_tokens: added });
    expect(await refusal("BAD_ARGUMENT", () => vectors(beside(shifted, 16), hashed))).toContain(
      "the ids of its own tokenizer are 1 higher, as its id 0 is none",
    );
  });

  test("refused in one line: none, one that is none, and one of more words than the table has rows", async () => {
    expect(await refusal("BAD_ARGUMENT", () => vectors(beside(null), hashed))).toContain(
      "the ids of t are those of hash: put its tokenizer.json beside its weights, or give it (--tokenizer)",
    );
    expect(await refusal("BAD_DATA", () => vectors(beside("{}"), hashed))).toContain(
      "tokenizer.json: expected a tokenizer.json of Hugging Face",
    );
    const { model, ...rest } = JSON.parse(json);
    const larger = JSON.stringify({ ...rest, model: { ...model, vocab: { ...model.vocab, zebra: 999 } } });
    expect(await refusal("SHAPE_MISMATCH", () => vectors(beside(larger), hashed))).toMatch(
      /its table has \d+ rows, its own encoding 1000 ids: give the network that many buckets$/,
    );
  });
});
