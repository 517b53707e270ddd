import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import {
  createNetwork,
  encodeSamples,
  loadData,
  parsePreprocessing,
  preprocessingOf,
  type TablePreprocessing,
  trainTeacher,
} from "../../src/index.js";
import { folderOf, refusal } from "./support.js";

interface Cases {
  /** What is added to each id: 1 if the tokenizer's id 0 is no padding. */
  pad: number;
  length: number;
  rows: number;
  texts: { text: string; ids: number[]; cut: number[] }[];
}

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/tokenizer/${name}.json`, import.meta.url));
const CASES = JSON.parse(readFileSync(fixture("ids"), "utf8")) as Record<string, Cases>;
const bytes = (text: string) => Uint8Array.from(Buffer.from(text));
const TABLE = bytes("text,label\nthe quick fox,a\nplay chess,b\nthe lazy dog,a\nlearn to play,b\n");
const table = () => join(folderOf({ "t.csv": TABLE }), "t.csv");
const expression = (file: string, length?: number) =>
  `tokenizer(file=${JSON.stringify(file)}${length === undefined ? "" : `, length=${length}`})`;

async function specOf(file: string, length: number): Promise<TablePreprocessing> {
  const { train } = await loadData(table(), { testFraction: 0, textEncoding: expression(file, length) });
  return parsePreprocessing(JSON.parse(JSON.stringify(preprocessingOf(train))), "x") as TablePreprocessing;
}

describe("ids are those of Hugging Face's tokenizers, 0 behind the last", () => {
  test.each(Object.entries(CASES))("%s", async (name, { pad, length, texts }) => {
    const [whole, cut] = [await specOf(fixture(name), 256), await specOf(fixture(name), length)];
    for (const { text, ...wanted } of texts) {
      const row = (ids: readonly number[], length: number) => [
        ...ids.map((id) => id + pad),
        ...new Array(length - ids.length).fill(0),
      ];
      const idsOf = (spec: TablePreprocessing) => [...encodeSamples(spec, [{ text }]).data];
      // As cells of tables are: without space around them.
      if (text !== text.trim()) continue;
      expect(idsOf(whole), JSON.stringify(text)).toEqual(row(wanted.ids, 256));
      expect(idsOf(cut), JSON.stringify(text)).toEqual(row(wanted.cut, length));
    }
  });
});

interface Parts {
  texts: string[];
  models: Record<string, object>;
  parts: Record<string, { ids: number[][]; model: string; normalizer: object | null; pre_tokenizer: object }>;
}

describe("the parts of a tokenizer are Hugging Face's", () => {
  const { texts, models, parts } = JSON.parse(readFileSync(fixture("parts"), "utf8")) as Parts;

  test.each(Object.entries(parts))("%s", async (_, { ids, model, ...rest }) => {
    const none = { added_tokens: [], decoder: null, post_processor: null };
    const folder = folderOf({ "t.json": bytes(JSON.stringify({ ...rest, ...none, model: models[model] })) });
    const spec = await specOf(join(folder, "t.json"), 32);
    for (const [i, text] of texts.entries()) {
      const found = [...encodeSamples(spec, [{ text }]).data].filter((id) => id > 0).map((id) => id - 1);
      expect(found, JSON.stringify(text)).toEqual(ids[i]);
    }
  });
});

test("spaces around a text of JSON lines are no tokens, as in rows that a network is given", async () => {
  const texts = [" play chess", "the lazy dog\n"];
  const lines = texts.map((text, i) => `${JSON.stringify({ text, label: "ab"[i] })}\n`).join("");
  const path = join(folderOf({ "t.jsonl": bytes(lines) }), "t.jsonl");
  const { train } = await loadData(path, { testFraction: 0, textEncoding: expression(fixture("bpe"), 16) });
  const spec = preprocessingOf(train) as TablePreprocessing;
  const rows = texts.map((text) => ({ text }));
  expect(train.slice(0, 2).inputs.data).toEqual(encodeSamples(spec, rows).data);
});

test.each(["wordpiece", "bpe", "unigram"])("a long text has the ids of its beginning: %s", async (name) => {
  const spec = await specOf(fixture(name), 32);
  const idsOf = (text: string) => [...encodeSamples(spec, [{ text }]).data];
  const ids = idsOf("play chess ".repeat(40));
  expect(ids).not.toContain(0);
  expect(idsOf("play chess ".repeat(20_000))).toEqual(ids);
});

test("a word is one unknown id, however long it is", async () => {
  const ids = encodeSamples(await specOf(fixture("wordpiece"), 8), [{ text: `${"x".repeat(3000)} play` }]).data;
  expect([...ids]).toEqual([2, 1, 71, 3, 0, 0, 0, 0]);
});

test("a text that the library can't hold has the ids of its beginning", async () => {
  const spec = await specOf(fixture("unigram"), 16_384);
  // All of it is one unknown id, as Hugging Face's.
  const idsOf = (text: string) => [...encodeSamples(spec, [{ text }]).data];
  expect(idsOf("漢".repeat(150_000))).toEqual(idsOf("漢"));
});

test("--tokenizer is the encoding with its default length, kept with the network", async () => {
  const { train } = await loadData(table(), { testFraction: 0, tokenizer: fixture("bpe") });
  expect(train.shape).toEqual([128]);
  const { columns } = preprocessingOf(train) as TablePreprocessing;
  expect(columns).toEqual([
    {
      name: "text",
      text: {
        kind: "tokenizer",
        length: 128,
        tokenizer: JSON.stringify(JSON.parse(readFileSync(fixture("bpe"), "utf8"))),
      },
    },
  ]);
});

test("a table with fewer rows than the vocabulary is refused, one with as many is not", async () => {
  const { train } = await loadData(table(), { testFraction: 0, tokenizer: fixture("bpe") });
  const { rows } = CASES.bpe;
  const learn = (buckets: number) =>
    trainTeacher({
      model: createNetwork(`text_bag(buckets=${buckets}, dim=2)`, { shape: [128], classes: 2 }),
      data: train,
      epochs: 1,
      batchSize: 2,
    });
  expect(await refusal("SHAPE_MISMATCH", () => learn(rows - 1))).toContain(
    `its table has ${rows - 1} rows, the encoding of t ${rows} ids: give the network that many buckets`,
  );
  await learn(rows);
});

describe("refuses", () => {
  const load = (options: object) => () => loadData(table(), { testFraction: 0, ...options });
  const file = (text: string) => join(folderOf({ "tokenizer.json": bytes(text) }), "tokenizer.json");

  test.each([
    ["text that is no JSON", "[CLS] [SEP]", "expected a tokenizer.json of Hugging Face, got"],
    ["other JSON", '{"a": 1}', "expected a tokenizer.json of Hugging Face, with model.vocab and added_tokens"],
    [
      "a model that is unknown",
      '{"model": {"type": "Other", "vocab": {"a": 0}}, "added_tokens": []}',
      'model.type: expected "BPE", "Unigram", "WordPiece", "WordLevel", got "Other"',
    ],
    [
      "words without one for those that are unknown",
      '{"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "[UNK]"}, "added_tokens": []}',
      'model.unk_token: expected a word of model.vocab, got "[UNK]"',
    ],
    [
      "pieces of BPE with a prefix, which the library leaves out",
      '{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "continuing_subword_prefix": "##"}, "added_tokens": []}',
      'model.continuing_subword_prefix: expected none of a BPE, got "##"',
    ],
    ...[undefined, "a b"].map((merges): [string, string, string] => [
      `merges that are ${merges}`,
      JSON.stringify({ model: { type: "BPE", vocab: { a: 0 }, merges }, added_tokens: [] }),
      `model.merges: expected a list, got ${JSON.stringify(merges)}`,
    ]),
    [
      "an unknown id that is none",
      '{"model": {"type": "Unigram", "vocab": [["a", 0]], "unk_id": 999}, "added_tokens": []}',
      "model.unk_id: expected a place in model.vocab, which has 1, got 999",
    ],
    [
      "a part that is missing",
      '{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "added_tokens": []}',
      "@huggingface/tokenizers can't use this tokenizer: ",
    ],
    [
      "values in values",
      `${"[".repeat(200_000)}${"]".repeat(200_000)}`,
      "expected a tokenizer.json of Hugging Face, got values that are nested too deep",
    ],
  ])("%s", async (_, text, message) => {
    const message_ = await refusal("BAD_DATA", load({ tokenizer: file(text) }));
    expect(message_).toContain(message);
    expect(message_).not.toContain("\n");
  });

  test.each([
    ['{"good": -5}', "[]", -5],
    ['{"good": 1.5}', "[]", 1.5],
    ['{"good": 4000000000}', "[]", 4e9],
    ['{"good": 0}', '[{"id": -1, "content": "[PAD]"}]', -1],
  ])("ids that name no row: %s, %s", async (vocab, added, id) => {
    const path = file(`{"model": {"type": "WordPiece", "vocab": ${vocab}}, "added_tokens": ${added}}`);
    expect(await refusal("BAD_DATA", load({ tokenizer: path }))).toContain(
      `${path}: expected whole ids from 0 to 16777214, got ${id}`,
    );
  });

  test("a file that is missing, a length without room, and two encodings", async () => {
    expect(await refusal("NOT_FOUND", load({ tokenizer: "none.json" }))).toContain("none.json");
    expect(await refusal("BAD_ARGUMENT", load({ textEncoding: expression(fixture("wordpiece"), 2) }))).toContain(
      "length: expected more than the 2 ids that the tokenizer adds to each text, got 2",
    );
    expect(await refusal("BAD_ARGUMENT", load({ tokenizer: fixture("bpe"), textEncoding: "hash" }))).toContain(
      "tokenizer: expected none if textEncoding is given",
    );
    expect(await refusal("BAD_ARGUMENT", load({ textEncoding: "tokenizer" }))).toContain("file: needed");
  });

  test("a network's file whose tokenizer is damaged", async () => {
    const spec = structuredClone(await specOf(fixture("bpe"), 8)) as TablePreprocessing;
    const columns = spec.columns.map((column) => ({
      ...column,
      text: { kind: "tokenizer", length: 8, tokenizer: "{}" },
    }));
    const damaged = parsePreprocessing({ ...spec, columns }, "x") as TablePreprocessing;
    expect(await refusal("BAD_DATA", () => encodeSamples(damaged, [{ text: "a" }]))).toContain(
      "the network's tokenizer",
    );
  });
});

describe("do_lower_case of the files beside a tokenizer", () => {
  const json = JSON.parse(readFileSync(fixture("wordpiece"), "utf8"));
  const idsWith = async (files: Record<string, object>, text: string) => {
    const folder = folderOf({
      "tokenizer.json": bytes(JSON.stringify(json)),
      ...Object.fromEntries(Object.entries(files).map(([name, of]) => [name, bytes(JSON.stringify(of))])),
    });
    const spec = await specOf(join(folder, "tokenizer.json"), 8);
    return [...encodeSamples(spec, [{ text }]).data];
  };

  test("is that of BERT's normaliser, and of sentence-transformers it comes before", async () => {
    const [small, large] = [await idsWith({}, "play chess"), await idsWith({}, "PLAY chess")];
    expect(large).toEqual(small);
    const cased = { "tokenizer_config.json": { do_lower_case: false } };
    expect(await idsWith(cased, "PLAY chess")).not.toEqual(small);
    expect(await idsWith(cased, "play chess")).toEqual(small);
    const before = { ...cased, "sentence_bert_config.json": { do_lower_case: true } };
    expect(await idsWith(before, "PLAY chess")).toEqual(small);
  });
});

test("a tokenizer that knows no word of the texts is said", async () => {
  const notes = async (text: string, tokenizer?: string) => {
    const heard: string[] = [];
    await loadData(join(folderOf({ "t.csv": bytes(text) }), "t.csv"), {
      testFraction: 0,
      onNote: (note: string) => heard.push(note),
      ...(tokenizer && { tokenizer }),
    });
    return heard.filter((note) => note.includes("knows no word"));
  };
  const foreign = "text,label\n愛 和平,a\nмир,b\n";
  expect(await notes(foreign, fixture("wordpiece"))).toEqual([
    expect.stringMatching(/t\.csv: the encoding tokenizer knows no word of column "text"$/),
  ]);
  expect(await notes(`${foreign}play,a\n`, fixture("wordpiece"))).toEqual([]);
  const empty = "text,label\n,a\n,b\n";
  expect(await notes(empty, fixture("wordpiece"))).toHaveLength(1);
  expect(await notes(empty)).toEqual([expect.stringMatching(/the encoding hash knows no word of column "text"$/)]);
  expect(await notes("text,label\n🎲,a\n,b\n")).toEqual([]);
});
