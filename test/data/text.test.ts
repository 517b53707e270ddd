import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  augment,
  encodeSamples,
  loadData,
  parsePreprocessing,
  preprocessingOf,
  readSamples,
  type TablePreprocessing,
} from "../../src/index.js";
import { folderOf, refusal } from "./support.js";

interface Case {
  encoding: { kind: "hash"; length: number };
  texts: { text: string; ids: number[] }[];
}

const CASES = JSON.parse(readFileSync(new URL("fixtures/text_hash.json", import.meta.url), "utf8")) as Case[];
const bytes = (text: string) => Uint8Array.from(Buffer.from(text));
const row = (ids: readonly number[], length: number) => [...ids, ...new Array(length - ids.length).fill(0)];

describe("ids of hashed n-grams are those of an independent Python script", () => {
  test.each(CASES.map((one) => [JSON.stringify(one.encoding), one] as const))("%s", (_, { encoding, texts }) => {
    const spec = parsePreprocessing(
      {
        kind: "table",
        columns: [{ name: "text", text: encoding }],
        label: { name: "y", index: 1 },
        header: true,
        classes: 2,
        classNames: ["a", "b"],
      },
      "x",
    ) as TablePreprocessing;
    for (const { text, ids } of texts) {
      const { data } = encodeSamples(spec, [{ text }]);
      expect([...data], JSON.stringify(text)).toEqual(row(ids, encoding.length));
    }
  });
});

test("a lone surrogate counts as U+FFFD, and a very long text keeps its first ids", async () => {
  const { train } = await loadData(join(folderOf({ "t.jsonl": bytes(LINES) }), "t.jsonl"), { testFraction: 0 });
  const spec = preprocessingOf(train) as TablePreprocessing;
  const idsOf = (text: string) => [...encodeSamples(spec, [{ text }]).data];
  expect(idsOf("\ud800")).toEqual(idsOf("\ufffd"));
  const long = "word ".repeat(100_000);
  expect(idsOf(long)).toEqual(idsOf(long.slice(0, 5000)));
  const word = "wörter𝒜".repeat(100_000);
  expect(idsOf(word)).toEqual(idsOf(word.slice(0, 5000)).map((id, i) => (i === 0 ? idsOf(word)[0] : id)));
});

test("the hash of an n-gram is that of its text, with lone surrogates, controls and astral characters", () => {
  const { length, buckets } = { length: 40, buckets: 5003 };
  const table = { kind: "table", header: true, classes: 2, label: { name: "y", index: 1 }, classNames: ["a", "b"] };
  const text = { kind: "hash", buckets, words: 3, characters: [1, 4], signed: true, length };
  const spec = parsePreprocessing({ ...table, columns: [{ name: "text", text }] }, "x") as TablePreprocessing;
  const wanted = (given: string) => {
    const tokens =
      given
        .toLowerCase()
        .normalize("NFC")
        .match(/[\p{L}\p{M}\p{N}]+|[^\p{L}\p{M}\p{N}\p{White_Space}]/gu) ?? [];
    const grams = (parts: readonly string[], least: number, most: number, between: string) =>
      Array.from({ length: most - least + 1 }, (_, i) => least + i).flatMap((n) =>
        parts.slice(n - 1).map((_, i) => parts.slice(i, i + n).join(between)),
      );
    const all = [...grams(tokens, 1, 3, " "), ...tokens.flatMap((token) => grams([..."<", ...token, ">"], 1, 4, ""))];
    const ids = all.slice(0, length).map((gram) => {
      const hash = Buffer.from(gram).reduce((sum, byte) => Math.imul(sum ^ byte, 0x01000193), 0x811c9dc5) >>> 0;
      return (1 + (hash % (buckets - 1))) * (hash >= 2 ** 31 ? -1 : 1);
    });
    return row(ids, length);
  };
  const characters = [..."az7 \n\u0001\u007f\u0080é\u0301\u07ff\u0800\ufeff\uffff数𝒜🎲\u{10ffff}"];
  characters.push("\ud800", "\udbff", "\udc00", "\udfff");
  for (let i = 0; i < 400; i++) {
    const given = Array.from(
      { length: i % 23 },
      (_, k) => characters[(i * i * 7 + k * k * 5 + i * k) % characters.length],
    ).join("");
    expect([...encodeSamples(spec, [{ text: given }]).data], JSON.stringify(given)).toEqual(wanted(given.trim()));
  }
});

test("null is an empty text, a row without its text is refused", async () => {
  const { train } = await loadData(join(folderOf({ "t.jsonl": bytes(LINES) }), "t.jsonl"), { testFraction: 0 });
  const spec = preprocessingOf(train) as TablePreprocessing;
  expect(encodeSamples(spec, [{ text: null }])).toEqual(encodeSamples(spec, [{ text: "" }]));
  for (const row of [{ txet: "a" }, { text: undefined }]) {
    const encode = () => encodeSamples(spec, [{ text: "a" }, row as never]);
    expect(await refusal("BAD_ARGUMENT", encode)).toMatch(
      /rows\[1\], "text": expected a (cell, got nothing: the row has "txet"|text, got nothing$)/,
    );
  }
});

const LINES = [
  { label: "games", text: "A puzzle, with 🎲 and cards" },
  { label: "science", text: "Numerical algebra in C++" },
  { label: "games", text: "" },
  { label: "science", text: "Größe und Maß" },
]
  .map((line) => `${JSON.stringify(line)}\n`)
  .join("");

describe("a column of texts", () => {
  test("that is called text is read, all else but the label is left out, and is said", async () => {
    const path = join(folderOf({ "t.csv": bytes("id,text,label\n1,the cat,a\n2,a dog,b\n3,,a\n") }), "t.csv");
    const notes: string[] = [];
    const { train } = await loadData(path, { testFraction: 0, onNote: (note) => notes.push(note) });
    expect(notes).toEqual([`${path}: "text" is read as text; left out: "id"`]);
    expect([train.shape, train.classNames]).toEqual([[256], ["a", "b"]]);
    expect([...train.slice(2, 3).inputs.data].every((id) => id === 0)).toBe(true);
    const spec = preprocessingOf(train) as TablePreprocessing;
    expect(spec.columns).toEqual([
      {
        name: "text",
        text: { kind: "hash", buckets: 32768, words: 2, characters: [3, 5], signed: false, length: 256 },
      },
    ]);
    expect(parsePreprocessing(JSON.parse(JSON.stringify(spec)), "x")).toEqual(spec);
    expect([...train.slice(0, 2).inputs.data]).toEqual([
      ...encodeSamples(spec, [{ text: "the cat" }, { text: "a dog" }]).data,
    ]);
  });

  test("beside two columns that could be the label, one of them left out", async () => {
    const path = join(folderOf({ "t.csv": bytes("text,y,label\nthe cat,1,a\na dog,2,b\n") }), "t.csv");
    const { train } = await loadData(path, { testFraction: 0, dropColumns: ["y"] });
    expect([train.classNames, train.table?.label]).toEqual([["a", "b"], { name: "label", index: 2 }]);
    expect(await refusal("BAD_ARGUMENT", () => loadData(path, { testFraction: 0, dropColumns: ["z"] }))).toContain(
      "dropColumns: expected a column of",
    );
  });

  test("that is called text is not read if it is left out by its place", async () => {
    const path = join(folderOf({ "t.csv": bytes("text,x,z,label\nu v,1,2,a\nw,3,4,b\n") }), "t.csv");
    for (const column of [0, "0", -4, "text"]) {
      const { train } = await loadData(path, { dropColumns: [column], testFraction: 0 });
      expect(train.table?.columns.map(({ name }) => name)).toEqual(["x", "z"]);
    }
    expect(await refusal("BAD_ARGUMENT", () => loadData(path, { textColumn: "text", dropColumns: [0] }))).toMatch(
      /^textColumn: expected a column that dropColumns does not leave out, .*"text"/,
    );
  });

  test.each([false, true])("whose first row was taken for names, as the labels show, streamed: %s", async (stream) => {
    const rows = Array.from({ length: 30 }, (_, i) => `${i % 3 === 0 ? "ham" : "spam"}\tsome words, number ${i}\n`);
    const path = join(folderOf({ "t.tsv": bytes(rows.join("")) }), "t.tsv");
    const options = { textColumn: 1, testFraction: 0, stream };
    expect(await refusal("BAD_DATA", () => loadData(path, options))).toBe(
      `${path}: line 1: "ham", "some words, number 0" could name the columns or be a row, whose label, "ham", rows below have too: set header (--header, --no-header)`,
    );
    expect((await loadData(path, { ...options, header: false })).train.length).toBe(30);
  });

  test("is named by textColumn, beside a label in the last place or not", async () => {
    const folder = folderOf({ "t.csv": bytes("section,summary\nx,the cat\ny,a dog\n") });
    const options = {
      testFraction: 0,
      textColumn: "summary",
      textEncoding: "hash(buckets=50, characters=[], length=3)",
    };
    const { train } = await loadData(join(folder, "t.csv"), options);
    expect([train.shape, train.classNames, train.table?.label]).toEqual([
      [3],
      ["x", "y"],
      { name: "section", index: 0 },
    ]);
    const other = join(folderOf({ "new.csv": bytes("summary\na dog\n") }), "new.csv");
    const { inputs, labels } = await readSamples(other, preprocessingOf(train));
    expect([[...inputs.data], labels]).toEqual([[...train.slice(1, 2).inputs.data], null]);
  });

  test("alone beside the label is found if it has more texts than can be categories", async () => {
    const rows = Array.from({ length: 150 }, (_, i) => `${i % 2 ? "a" : "b"},sentence number ${i}\n`).join("");
    const path = join(folderOf({ "t.csv": bytes(`label,sentence\n${rows}`) }), "t.csv");
    const { train } = await loadData(path, { testFraction: 0 });
    expect(train.table?.columns[0]).toMatchObject({ name: "sentence", text: { kind: "hash" } });
    const long = join(
      folderOf({ "t.csv": bytes(`label,sentence\n${rows.replaceAll("\n", `${" word".repeat(1000)}\n`)}`) }),
      "t.csv",
    );
    expect((await loadData(long, { testFraction: 0 })).train.shape).toEqual([256]);
    const ids = join(folderOf({ "t.csv": bytes(`label,id\n${rows.replaceAll("sentence number ", "id-")}`) }), "t.csv");
    expect(await refusal("BAD_DATA", () => loadData(ids, { testFraction: 0 }))).toContain(
      "or one column of texts to read (--text-column)",
    );
  });

  test("is the same streamed, with a test part, and read for a network", async () => {
    const folder = folderOf({
      "t.jsonl": bytes(LINES),
      "t_test.jsonl": bytes(LINES.split("\n").slice(0, 2).join("\n")),
    });
    const path = join(folder, "t.jsonl");
    const [whole, streamed] = [await loadData(path), await loadData(path, { stream: true })];
    for (const part of ["train", "test"] as const) {
      const [a, b] = [whole[part], streamed[part]];
      expect([...(b?.slice(0, b.length).inputs.data ?? [])]).toEqual([...(a?.slice(0, a.length).inputs.data ?? [])]);
      expect(b?.labels?.data).toEqual(a?.labels?.data);
    }
    const again = await loadData(path, { preprocessing: preprocessingOf(whole.train) });
    expect([...again.train.slice(0, 4).inputs.data]).toEqual([...whole.train.slice(0, 4).inputs.data]);
  });

  test("may have samples without a label, targets and several labels", async () => {
    const folder = folderOf({
      "u.csv": bytes("text,label\none,a\ntwo,\nthree,b\n"),
      "r.csv": bytes("text,price\none,1.5\ntwo,2.5\n"),
      "m.csv": bytes("text,old,new\none,1,0\ntwo,0,1\n"),
    });
    const load = (name: string, options: object) => loadData(join(folder, name), { testFraction: 0, ...options });
    const { train } = await load("u.csv", { unlabelled: true });
    expect(train.labels?.data).toEqual(Int32Array.of(0, -1, 1));
    writeFileSync(join(folder, "u_test.csv"), "text,label\none,a\ntwo,\n");
    expect(await refusal("BAD_DATA", () => load("u.csv", { unlabelled: true }))).toContain(
      'u_test.csv: line 3: its label, "label", is empty: leave the row out',
    );
    const prices = await load("r.csv", { task: "regression", standardize: false });
    expect([...(prices.train.slice(0, 2).targets?.data ?? [])]).toEqual([1.5, 2.5]);
    const several = await load("m.csv", { labelColumns: ["old", "new"] });
    expect([several.train.task, [...(several.train.slice(0, 2).targets?.data ?? [])]]).toEqual([
      "multi-label",
      [1, 0, 0, 1],
    ]);
  });
});

describe("one clear error for", () => {
  const at = (csv: string) => join(folderOf({ "t.csv": bytes(csv) }), "t.csv");

  test("a text column that is missing, or is the label", async () => {
    const path = at("summary,label\na,x\nb,y\n");
    expect(await refusal("BAD_ARGUMENT", () => loadData(path, { textColumn: "txt" }))).toBe(
      `textColumn: expected a column of ${path}, "summary", "label", or its index from 0, got "txt"`,
    );
    expect(await refusal("BAD_ARGUMENT", () => loadData(path, { textColumn: "label" }))).toBe(
      'textColumn: expected a column beside the label: "label" is the label: name another one, got "label"',
    );
  });

  test("an encoding that is none", async () => {
    expect(
      await refusal("BAD_ARGUMENT", () => loadData(at("text,label\na,x\nb,y\n"), { textEncoding: "hash(bucket=3)" })),
    ).toMatch(/^textEncoding: hash: bucket: unknown argument, did you mean buckets\?/);
    const characters = { textEncoding: "hash(characters=[3, 2])" };
    expect(await refusal("BAD_ARGUMENT", () => loadData(at("text,label\na,x\nb,y\n"), characters))).toBe(
      "textEncoding: hash: characters: expected the least and most characters, as [3, 5], or [] for none, got [3, 2]",
    );
  });

  test("random changes of texts", async () => {
    const { train } = await loadData(at("text,label\na b,x\nc,y\n"), { testFraction: 0 });
    expect(() => augment(train, { noise: 0.1 })).toThrow("has texts, which are ids: they can't be shifted or mixed");
  });
});

describe("texts alone beside a column that is left out", () => {
  const alone = ["good film,0", "bad film,1", "no film,2"];
  const folder = folderOf({
    "rows.csv": bytes(alone.join("\n")),
    "behind.csv": bytes(alone.map((line) => line.split(",").reverse().join(",")).join("\n")),
    "named.csv": bytes([",text", ...alone.map((line) => line.split(",").reverse().join(","))].join("\n")),
  });
  const load = async (file: string, options: object) =>
    (await loadData(join(folder, file), { testFraction: 0, ...options })).train;

  test("an empty one is a row of a table of one column", async () => {
    const path = join(folderOf({ "t.csv": bytes('text\n"first, one"\n""\n\nthird one\n') }), "t.csv");
    const { train } = await loadData(path, { testFraction: 0 });
    expect([train.length, train.texts?.(Int32Array.of(0, 1, 2))]).toEqual([3, ["first, one", "", "third one"]]);
    const { inputs, locations } = await readSamples(path, preprocessingOf(train));
    expect(inputs).toEqual(train.slice(0, 3).inputs);
    expect(locations.map((at) => at.slice(path.length))).toEqual([", line 2", ", line 3", ", line 5"]);
  });

  test.each([
    ["rows.csv", { dropColumns: ["1"], textColumn: "0" }],
    ["rows.csv", { dropColumns: [1], textColumn: 0, header: false }],
    ["behind.csv", { dropColumns: ["0"], textColumn: -1 }],
    ["named.csv", { dropColumns: [0], textColumn: 1 }],
    ["named.csv", { dropColumns: [0], textColumn: "text" }],
  ])("%s, %j: columns count in the file, and its first row is one without names", async (file, options) => {
    const train = await load(file, options);
    expect(train.texts?.(Int32Array.of(0, 1, 2))).toEqual(["good film", "bad film", "no film"]);
    const { inputs } = await readSamples(join(folder, file), preprocessingOf(train));
    expect([...inputs.data]).toEqual([...train.slice(0, 3).inputs.data]);
  });

  test.each([
    ["rows.csv", { dropColumns: ["0"], textColumn: 0 }, '"0"'],
    ["named.csv", { dropColumns: [1], textColumn: "text" }, '"text"'],
  ])("%s, %j is refused", async (file, options, column) => {
    const text = await refusal("BAD_ARGUMENT", () => load(file, options));
    expect(text).toBe(`textColumn: ${column} is left out by dropColumns`);
  });
});
