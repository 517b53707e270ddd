import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadData, preprocessingOf, readSamples } from "../../../src/data/index.js";
import { folderOf, refusal } from "../support.js";

const rows = Array.from({ length: 40 }, (_, i) => ({
  size: (i * i) % 17,
  colour: ["red", "blue"][i % 2],
  kind: `k${(i * 7) % 4}`,
}));
const text = rows.map((row) => `${JSON.stringify(row)}\n`).join("");
const csv = `size,colour,kind\n${rows.map((row) => `${Object.values(row).join(",")}\n`).join("")}`;
const file = (name: string, content: string) => join(folderOf({ [name]: Buffer.from(content) }), name);

describe("JSON lines", () => {
  test.each([false, true])("have the values of the same table in CSV, streamed: %s", async (stream) => {
    const options = { labelColumn: "kind", stream };
    const [a, b] = [await loadData(file("t.jsonl", text), options), await loadData(file("t.csv", csv), options)];
    expect(a.train.slice(0, 30).inputs.data).toEqual(b.train.slice(0, 30).inputs.data);
    expect(a.test?.labels).toEqual(b.test?.labels);
    expect(preprocessingOf(a.train)).toEqual(preprocessingOf(b.train));
  });

  test("have names, whatever they look like", async () => {
    const lines = [
      { "1": 0.5, "2": "red", kind: "a" },
      { "1": 1.5, "2": "blue", kind: "b" },
    ].map((row) => JSON.stringify(row));
    const { train } = await loadData(file("t.jsonl", lines.join("\n")), { testFraction: 0, standardize: false });
    expect(train.slice(0, 2).inputs.toArray()).toEqual([
      [0.5, 0, 1],
      [1.5, 1, 0],
    ]);
    expect([train.classNames, train.table?.columns.map(({ name }) => name)]).toEqual([
      ["a", "b"],
      ["1", "2"],
    ]);
  });

  test("are read for predict, keys in any order, with or without the label", async () => {
    const { train } = await loadData(file("t.jsonl", text), { labelColumn: "kind", testFraction: 0 });
    const { inputs, labels, locations } = await readSamples(
      file("new.jsonl", '{"colour":"red","size":0}\n\n{"colour":"blue","size":1}\n'),
      preprocessingOf(train),
    );
    expect(inputs.data).toEqual(train.slice(0, 2).inputs.data);
    expect([labels, locations[1]]).toEqual([null, expect.stringMatching(/line 3$/)]);
  });

  test("have cells without spaces around them, as those that a network is given", async () => {
    const path = file("t.jsonl", '{"a":" 5","c":"red ","label":1}\n{"a":"6 ","c":"blue","label":" 2 "}\n');
    for (const stream of [false, true]) {
      const { train } = await loadData(path, { testFraction: 0, stream });
      const spec = preprocessingOf(train);
      expect(spec).toMatchObject({ classNames: ["1", "2"], columns: [{ mean: 5.5 }, { categories: ["blue", "red"] }] });
      expect((await readSamples(path, spec)).inputs.data).toEqual(train.slice(0, 2).inputs.data);
    }
  });

  test.each([false, true])(
    "have numbers with points, whatever texts beside them have, streamed: %s",
    async (stream) => {
      const lines = [
        { v: 1.101, w: "0,5", label: 0 },
        { v: 2.25, w: "1,5", label: 1 },
        { v: 999, w: "2", label: 1 },
      ];
      for (const rows of [
        lines,
        lines.map(({ v, label }) => ({ v, label })),
        [
          { v: 1.101, w: "0,5", label: 0 },
          { v: 2.102, w: "1,5", label: 1 },
        ],
      ]) {
        const path = file("t.jsonl", rows.map((row) => JSON.stringify(row)).join("\n"));
        const { train } = await loadData(path, { testFraction: 0, standardize: false, stream });
        const { data } = train.slice(0, rows.length).inputs;
        expect(rows.map((_, i) => data[i * train.features])).toEqual(rows.map(({ v }) => Math.fround(v)));
      }
    },
  );

  test("have lists only in columns that are not read", async () => {
    const lines = [0, 1, 2, 3].map((i) => ({ scores: [i, 0.5], age: i + 0.5, label: "ab"[i % 2], text: "a b" }));
    const path = file("t.jsonl", lines.map((row) => JSON.stringify(row)).join("\n"));
    const dropColumns = ["scores", "text"];
    const { train } = await loadData(path, { dropColumns, testFraction: 0 });
    expect(train.features).toBe(1);
    expect((await readSamples(path, preprocessingOf(train))).inputs.shape).toEqual([4, 1]);
    const problem =
      "expected a number or a text, got [0,0.5]: teacherColumn (--teacher-column) takes logits, dropColumns (--drop-columns) leaves it out";
    for (const options of [
      { dropColumns: ["text"] },
      { textColumn: "scores" },
      { labelColumn: "scores", textColumn: "text" },
    ]) {
      for (const stream of [false, true]) {
        const text = await refusal("BAD_DATA", () => loadData(path, { ...options, stream }));
        expect(text).toBe(`${path}: line 1, "scores": ${problem}`);
      }
    }
  });

  test.each([
    ['{"a":1,"label":"x"}\n{"a":', /line 2: .*JSON/],
    ["[1]\n", /line 1: expected an object/],
    [
      '{"a":1,"label":"x"}\n{"b":1,"label":"y"}\n',
      /line 2: the first line has no column "b": its keys are the columns: add it there, with null if it is missing/,
    ],
    ['{"a":true,"label":"x"}\n', /line 1, "a": expected a number or a text, got true: write 1, or "true" for a text/],
    ['{"a":1,"label":"x"}\n{"a":[1],"label":"y"}\n', /line 2, "a": expected a number or a text/],
    ['{"a":1,"label":"x"}\n{"label":"y"}\n', /line 2, "a": is empty/],
    ['{"constructor":1,"label":"x"}\n{"label":"y"}\n', /line 2, "constructor": is empty/],
  ])("refuses %j with its line", async (content, problem) => {
    expect(await refusal("BAD_DATA", () => loadData(file("t.jsonl", content)))).toMatch(problem);
  });
});
