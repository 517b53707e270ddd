import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { show } from "../../../src/checks.js";
import {
  encodeSamples,
  type LoadDataOptions,
  loadData,
  parsePreprocessing,
  preprocessingOf,
  readSamples,
  type TablePreprocessing,
} from "../../../src/data/index.js";
import { folderOf, refusal } from "../support.js";

const WHOLE: LoadDataOptions = { testFraction: 0 };

function load(content: string, options: LoadDataOptions = {}, others: Record<string, string> = {}) {
  const entries = Object.entries({ "t.csv": content, ...others }).map(([name, text]) => [name, Buffer.from(text)]);
  const folder = folderOf(Object.fromEntries(entries));
  const file = join(folder, "t.csv");
  return { file, folder, sets: loadData(file, { ...WHOLE, ...options }) };
}

/** A table of one column, whose cells may be quoted, and a label. */
const column = (...cells: string[]) => `a;label\n${cells.map((cell, i) => `${cell};${"xy"[i % 2]}\n`).join("")}`;

async function numbersOf(content: string, options: LoadDataOptions = {}): Promise<number[]> {
  const { train } = await load(content, { standardize: false, ...options }).sets;
  return Array.from(train.slice(0, train.length).inputs.data);
}

describe("numbers as people write them", () => {
  test.each<[string, string[], number[]]>([
    ["decimal commas", ["0,5", "-1,25", "3"], [0.5, -1.25, 3]],
    ["decimal commas and exponents", ["1,23e-05", "-4,5E+3", "2e2", "0,5"], [Math.fround(1.23e-5), -4500, 200, 0.5]],
    ["decimal commas and thousands", ["1.234,5", "999", "-1.345.678,25"], [1234.5, 999, -1345678.25]],
    ["decimal points and thousands", ["1,234.5", "1,000", "7"], [1234.5, 1000, 7]],
    ["thousands that come twice", ["1,234,567", "1,000", "12"], [1234567, 1000, 12]],
    ["thousands by points that come twice", ["1.234.567", "1.000"], [1234567, 1000]],
    ["thousands by spaces", ["1 000", "12 345,5", "1\u00a0000", "5"], [1000, 12345.5, 1000, 5]],
    ["thousands by apostrophes", ["1'000.5", "2"], [1000.5, 2]],
    ["per cent", ["12%", "3.5 %", "-100%"], [12, 3.5, -100]],
    ["a currency before", ["$3", "$1,250.50", "-$2"], [3, 1250.5, -2]],
    ["a currency behind", ["3,50 €", "1.250,00 €"], [3.5, 1250]],
    ["three digits behind a point, as everywhere", ["1.234", "2.500"], [Math.fround(1.234), 2.5]],
    ["three digits behind a comma, one cell tells", ["1,234", "0,500"], [Math.fround(1.234), 0.5]],
  ])("%s", async (_, cells, numbers) => {
    expect(await numbersOf(column(...cells))).toEqual(numbers);
    expect(await numbersOf(column(...cells), { stream: true })).toEqual(numbers);
  });

  test("another column decides what 1,234 is", async () => {
    expect(await numbersOf('a,b,label\n"1,234",0.5,x\n"2,000",1,y\n')).toEqual([1234, 0.5, 2000, 1]);
    expect(await numbersOf("a;b;label\n1,234;0,5;x\n2,000;1;y\n")).toEqual([Math.fround(1.234), 0.5, 2, 1]);
    expect(await numbersOf("a;b;label\n1.234;0,5;x\n2.000;1;y\n")).toEqual([1234, 0.5, 2000, 1]);
  });

  test.each<[string, string, string]>([
    [
      "nothing tells what 1,234 is",
      column("1,234", "2,000"),
      'line 2, "a": "1,234" could be 1234 or have decimals: no other cell tells which',
    ],
    [
      "whole numbers beside 1.234",
      column("1.234", "999", "12.500"),
      'line 2, "a": "1.234" could be 1234 or have decimals: no other cell tells which',
    ],
    [
      "the other columns contradict each other",
      "a;b;c;label\n1,234;0,5;0.5;x\n2,000;1,5;1.5;y\n",
      'line 2, "a": "1,234" could be 1234 or have decimals: no other cell tells which',
    ],
    ["a point among commas", column("1,5", "1.5"), 'line 3, "a": "1.5" is not written as the numbers before it'],
    ["a comma among points", column("1.5", "1,5"), 'line 3, "a": "1,5" is not written as the numbers before it'],
    ["some with a sign", column("1%", "2"), 'line 3, "a": "2" is not written as the numbers before it'],
    ["two currencies", column("$1", "€2"), 'line 3, "a": "€2" is not written as the numbers before it'],
  ])("refused with the cell: %s", async (_, content, problem) => {
    const { file, sets } = load(content);
    expect(await refusal("BAD_DATA", () => sets)).toBe(
      `${file}: ${problem}: write all numbers of the column alike, with a decimal point`,
    );
  });

  test.each([["- 5"], ["1".repeat(400)]])("a number that no format of the column is: %s", async (cell) => {
    for (const stream of [false, true]) {
      const { file, sets } = load(column("1.5", "2", cell, "7"), { stream });
      expect(await refusal("BAD_DATA", () => sets)).toBe(
        `${file}: line 4, "a": expected a number, as in the training file, got ${show(cell)}`,
      );
    }
  });

  test("new samples are read in the format of the training file", async () => {
    const { folder, sets } = load(column("1.234,5 €", "1 €", "2 €"), {}, { "new.csv": "a;label\n1.234,5 €;x\n" });
    const { train } = await sets;
    const spec = parsePreprocessing(JSON.parse(JSON.stringify(preprocessingOf(train))), "s") as TablePreprocessing;
    expect(spec.columns[0]).toMatchObject({ format: { decimal: ",", group: ".", unit: "€" } });
    const first = train.slice(0, 1).inputs;
    expect((await readSamples(join(folder, "new.csv"), spec)).inputs).toEqual(first);
    expect(encodeSamples(spec, [{ a: 1234.5 }])).toEqual(first);
    const text = await refusal("BAD_ARGUMENT", () => encodeSamples(spec, [{ a: "1,234.5 €" }]));
    expect(text).toBe(
      'rows[0], "a": expected a number, written with thousands separated by ".", decimal commas, the sign €, got "1,234.5 €"',
    );
  });

  test("a test part has to be written alike", async () => {
    const { folder, sets } = load(column("0,5", "1,5"), {}, { "t_test.csv": column("0.5") });
    expect(await refusal("BAD_DATA", () => sets)).toBe(
      `${join(folder, "t_test.csv")}: line 2, "a": expected a number, written with decimal commas, as in the training file, got "0.5"`,
    );
  });

  test("without a header, decimal commas between semicolons", async () => {
    expect(await numbersOf("0,1;0,83;x\n0,2;0,5;y\n0,3;1;x\n0,4;2;y\n")).toEqual(
      [0.1, 0.83, 0.2, 0.5, 0.3, 1, 0.4, 2].map(Math.fround),
    );
  });
});

describe("delimiters between numbers with decimal commas", () => {
  const cells = [
    ["0,0", "0,5", "0,0"],
    ["1,1", "1,5", "2,5"],
  ];
  const rows = (delimiter: string) => cells.map((row) => `${row.join(delimiter)}\n`).join("");
  test.each([
    ["semicolons", ";", ""],
    ["bars below commas in names", "|", "Size, cm|Weight, kg|Price, €\n"],
  ])("%s", async (_, delimiter, header) => {
    const { train } = await load(header + rows(delimiter), header === "" ? { header: false } : {}).sets;
    expect([train.classNames, train.slice(0, 2).inputs.toArray()]).toEqual([
      ["0,0", "2,5"],
      [
        [-1, -1],
        [1, 1],
      ],
    ]);
  });

  test("tabs between cells that are all quoted", async () => {
    const { train } = await load('"a"\t"b"\t"label"\n"1"\t"2"\t"x"\n"3"\t"5"\t"y"\n').sets;
    expect(train.table?.columns.map(({ name }) => name)).toEqual(["a", "b"]);
  });

  test("a .tsv file is split at tabs", async () => {
    const content = "a,b,c\tx,y\tlabel\nu,v,w\t1,5\tk\nu,v,z\t2,5\tl\n";
    const folder = folderOf({ "t.tsv": Buffer.from(content) });
    const { train } = await loadData(join(folder, "t.tsv"), WHOLE);
    expect(train.table?.columns.map(({ name }) => name)).toEqual(["a,b,c", "x,y"]);
  });
});

describe("all cells of a column decide what it holds", () => {
  test("texts whose first is a number are texts", async () => {
    const cells = ["7", "007", "A", "B", "C", "A"];
    for (const stream of [false, true]) {
      const { train } = await load(column(...cells), { stream }).sets;
      expect(train.table?.columns).toEqual([{ name: "a", categories: ["007", "7", "A", "B", "C"] }]);
      expect(train.slice(0, 2).inputs.toArray()).toEqual([
        [0, 1, 0, 0, 0],
        [1, 0, 0, 0, 0],
      ]);
    }
  });

  test.each([
    ["first", ["x?", "1", "2", "3"], 2],
    ["last", ["1", "2", "3", "none"], 5],
  ])("an odd text, %s, does not make categories of numbers", async (_, cells, line) => {
    const { file, sets } = load(column(...cells));
    expect(await refusal("BAD_DATA", () => sets)).toMatch(
      `${file}: line ${line}, "a": expected a number, as 3 of 4 cells are, got "${cells[line - 2]}": correct it`,
    );
  });
});

describe("--missing category", () => {
  const content = "a,b,label\n1,u,x\nNA,v,y\n3,,x\n2,u,y\n";

  test("a missing number is the mean, and has a value that says it; a missing text is a category", async () => {
    const { folder, sets } = load(content, { missing: "category" }, { "new.csv": "a,b\n-,null\n" });
    const { train } = await sets;
    expect(train.features).toBe(5);
    const rows = train.slice(0, 4).inputs.toArray() as number[][];
    expect(rows[1]).toEqual([0, 1, 0, 0, 1]);
    expect(rows[2].slice(1)).toEqual([0, 1, 0, 0]);
    const spec = parsePreprocessing(JSON.parse(JSON.stringify(preprocessingOf(train))), "s") as TablePreprocessing;
    expect(spec.columns).toMatchObject([{ missing: "category" }, { categories: ["", "u", "v"] }]);
    expect((await readSamples(join(folder, "new.csv"), spec)).inputs.toArray()).toEqual([[0, 1, 1, 0, 0]]);
  });

  test.each(["mean", "category"] as const)("a missing number needs standardised columns: %s", async (missing) => {
    expect(await refusal("BAD_ARGUMENT", () => load(content, { missing, standardize: false }).sets)).toBe(
      'missing: a missing number is the mean of "a", which needs standardised columns: leave standardize out',
    );
    const texts = "a,b,label\n1,u,x\n2,,y\n";
    const isPlain = missing === "category";
    if (isPlain) expect((await load(texts, { missing, standardize: false }).sets).train.features).toBe(3);
  });

  test.each<[string, "mean" | "category", string, string]>([
    ["1,u,x\nNA,v,y", "mean", "category", "missing mean"],
    ["1,u,x\nNA,v,y", "category", "mean", "missing category"],
    ["1,u,x\n2,,y", "category", "error", "missing category"],
    ["1,u,x\n2,v,y", "category", "category", "no missing cells"],
  ])("a network's own decides: %j", async (rows, missing, other, own) => {
    const { file, sets } = load(`a,b,label\n${rows}\n`, { missing });
    const options = { ...WHOLE, preprocessing: preprocessingOf((await sets).train) };
    expect(await refusal("BAD_ARGUMENT", () => loadData(file, { ...options, missing: other as never }))).toBe(
      `missing: the network was trained with ${own}, which its file says: leave it out`,
    );
    if (own !== "no missing cells") await loadData(file, { ...options, missing });
  });

  test("a missing cell that no training cell shows is refused", async () => {
    const { folder, sets } = load("a,label\n1,x\n2,y\n", { missing: "category" }, { "t_test.csv": "a,label\nNA,x\n" });
    expect(await refusal("BAD_DATA", () => sets)).toBe(
      `${join(folder, "t_test.csv")}: line 2, "a": is missing: "NA", and no cell of the column in the training file is`,
    );
  });
});

describe("columns that are left out", () => {
  test.each<[string, string, LoadDataOptions]>([
    ["by name", "id,a,name,label\n1,5,p,x\n2,6,q,y\n", { dropColumns: ["id", "name"] }],
    ["one that could be the label", "a,y,class\n5,1,x\n6,2,y\n", { dropColumns: ["y"] }],
    ["by place", "id,a,name,label\n1,5,p,x\n2,6,q,y\n", { dropColumns: [0, "-2"] }],
    ["one without a name, as pandas writes", ",a,label\n0,5,x\n1,6,y\n", { dropColumns: [0] }],
    ["without a header", "1,5,p,x\n2,6,q,y\n", { dropColumns: [0, 2] }],
    ["the last without a header", "5,x,1\n6,y,2\n", { dropColumns: [2], labelColumn: 1 }],
    ["without a header, by places that are also cells", "3,0,5,x\n4,0,6,y\n", { dropColumns: ["0", "1"] }],
  ])("%s", async (_, content, options) => {
    const { folder, sets } = load(content, options, { "new.csv": content, "t_test.csv": content });
    const { train, test } = await sets;
    expect(train.table?.columns).toHaveLength(1);
    expect(test?.slice(0, 2)).toEqual(train.slice(0, 2));
    expect(train.slice(0, 2).inputs.toArray()).toEqual([[-1], [1]]);
    const { inputs, labels } = await readSamples(join(folder, "new.csv"), preprocessingOf(train));
    expect([inputs.toArray(), Array.from(labels ?? [])]).toEqual([
      [[-1], [1]],
      [0, 1],
    ]);
  });

  test("before one without a header: what lacks the label is told by its width", async () => {
    const content = "x,5,7,1\ny,6,9,2\n";
    const options = { dropColumns: [3], labelColumn: 0 };
    const { folder, sets } = load(content, options, { "two.csv": "5,7\n", "three.csv": "5,7,1\n" });
    const spec = parsePreprocessing(JSON.parse(JSON.stringify(preprocessingOf((await sets).train))), "s");
    expect((await readSamples(join(folder, "two.csv"), spec)).inputs.toArray()).toEqual([[-1, -1]]);
    expect(await refusal("BAD_DATA", () => readSamples(join(folder, "three.csv"), spec))).toMatch(
      "line 1: expected 4 cells, or 2 without the label, got 3",
    );
  });

  test("a network's label and columns may be given by their places from the end", async () => {
    const named = load("id,x,z,kind\n7,1,2,a\n8,3,5,b\n", { dropColumns: ["id"], labelColumn: -1 });
    const options = { ...WHOLE, preprocessing: preprocessingOf((await named.sets).train) };
    const again = await loadData(named.file, { ...options, dropColumns: ["id"], labelColumn: -1 });
    expect(again.train.slice(0, 2)).toEqual((await named.sets).train.slice(0, 2));
    expect(await refusal("BAD_ARGUMENT", () => loadData(named.file, { ...options, labelColumn: -2 }))).toBe(
      'labelColumn: the network was trained with the label "kind", which its file says: leave it out',
    );
    const plain = load("1,2,3,a\n4,5,7,b\n");
    const preprocessing = preprocessingOf((await plain.sets).train);
    for (const column of [0, "0", -4, "-4"]) {
      expect(
        await refusal("BAD_ARGUMENT", () => loadData(plain.file, { preprocessing, dropColumns: [column] })),
      ).toMatch(/^dropColumns: the network was trained with the columns "0", "1", "2", "3"/);
    }
  });

  test.each<[LoadDataOptions, string]>([
    [{ dropColumns: ["b"] }, 'dropColumns: expected a column of FILE, "a", "label", or its index from 0, got "b"'],
    [{ dropColumns: ["label"] }, 'dropColumns: "label" is the label of FILE'],
    [{ dropColumns: ["a"] }, "dropColumns: no column is left"],
    [{ dropColumns: [1.5] }, "dropColumns[0]: expected the name of a column, or its index, got 1.5"],
  ])("refused: %j", async (options, problem) => {
    const { file, sets } = load("a,label\n1,x\n2,y\n", options);
    expect((await refusal("BAD_ARGUMENT", () => sets)).replace(file, "FILE")).toBe(problem);
  });
});

describe("a label column of many numbers", () => {
  const table = (count: number, label: (i: number) => unknown, name = "price") =>
    `a,${name}\n${Array.from({ length: count }, (_, i) => `${i},${label(i)}\n`).join("")}`;
  const REGRESSION = "as the target of a regression: name the column of the labels (--label-column)";

  test.each<[string, string, LoadDataOptions, string]>([
    [
      "the last of a table without a header",
      Array.from({ length: 242 }, (_, i) => `${i % 7},${i % 121}\n`).join(""),
      {},
      `its label, "1", has 121 different numbers in 242 rows, ${REGRESSION}, this one too if it is meant; --task says what it is for`,
    ],
    [
      "one with decimal commas",
      table(100, (i) => `${i % 25},5`, "price")
        .replaceAll(/,(\d+),/g, ";$1,")
        .replace(",", ";"),
      {},
      'its label, "price", has 25 different numbers, "0,5" among them: write targets as 1234.5, or --task classification takes them as classes',
    ],
    [
      "one with a number in a tenth of its rows",
      table(400, (i) => (i % 10 === 0 ? 7 * i : ""), "target"),
      { unlabelled: true },
      'line 3: its target, "target", is missing: leave the row out',
    ],
    [
      "one of per cents as targets",
      table(100, (i) => `${i % 25}%`),
      { task: "regression" },
      'line 2: expected a number as target, "price", got "0%": write targets as 1234.5',
    ],
  ])("%s is refused", async (_, content, options, problem) => {
    const { file, sets } = load(content, options);
    expect(await refusal("BAD_DATA", () => sets)).toBe(`${file}: ${problem}`);
  });

  test.each<[string, string, LoadDataOptions, number]>([
    ["few numbers", table(100, (i) => 100 * (i % 20)), {}, 20],
    ["numbers that follow each other, of a usual name", table(100, (i) => i % 50, "label"), {}, 50],
    ["numbers that follow each other, named", table(100, (i) => i % 50), { labelColumn: "price" }, 50],
    ["many rows each, named", table(250, (i) => 7 * (i % 25)), { labelColumn: -1 }, 25],
    ["texts", table(100, (i) => `c${i % 50}`), {}, 50],
    [
      "numbers far apart, said to be",
      table(100, (i) => 37 * (i % 50)),
      { labelColumn: "price", task: "classification" },
      50,
    ],
  ])("%s are classes", async (_, content, options, classes) => {
    expect((await load(content, options).sets).train.classes).toBe(classes);
  });

  test.each<[string, string, LoadDataOptions, number]>([
    ["whole numbers far apart, named", table(100, (i) => 1000 + 37 * (i % 50)), { labelColumn: "price" }, 50],
    ["of a usual name", table(100, (i) => 5 * (i % 50), "target"), {}, 50],
    ["fractions, named", table(100, (i) => (i % 25) / 4), { labelColumn: "price" }, 25],
  ])("%s are the target of a regression, and it is said", async (_, content, options, different) => {
    const notes: string[] = [];
    const { train } = await load(content, { ...options, onNote: (text) => notes.push(text) }).sets;
    expect([train.task, train.classes]).toEqual(["regression", 1]);
    expect(notes).toEqual([
      expect.stringContaining(`has ${different} different numbers: a regression (--task regression;`),
    ]);
  });
});

test.each<[string[], string]>([
  [["Cat", "dog", "cat", "CAT"], '"CAT", "Cat", "cat"'],
  [["a b", "a  b", "x"], '"a  b", "a b"'],
  [["1", "01", "1.0", "2"], '"01", "1", "1.0"'],
  [["caf\u00e9", "cafe\u0301", "tea"], '"cafe\u0301", "caf\u00e9"'],
  [["__proto__", "constructor", "10", "1"], ""],
])("classes of %j stay apart, and those that are written alike are named", async (labels, alike) => {
  const notes: string[] = [];
  const rows = Array.from({ length: 24 }, (_, i) => `${i},${labels[i % labels.length]}\n`);
  const { file, sets } = load(`a,label\n${rows.join("")}`, { onNote: (text) => notes.push(text) });
  expect((await sets).train.classNames).toEqual([...labels].sort());
  const what = "labels that differ only in case, spaces, zeros or Unicode form are classes of their own";
  expect(notes).toEqual(alike === "" ? [] : [`${file}: ${what}: ${alike}`]);
});

describe("a first line that could be a header", () => {
  test.each([
    [
      "years beside a text that no label repeats",
      "2019,2020,growth\n1,2,up\n3,4,down\n5,6,up\n7,8,down\n",
      ", whose label",
    ],
    ["indices alone", "0,1,2\n5,6,0\n7,8,1\n", ""],
    ["texts as in the rows below", "u,x\nv,y\nu,y\nv,x\n", ', whose label, "x", rows below have too'],
    [
      "a label that looks like a name",
      "0.5,0.25,y\n1.5,1.25,n\n2.5,2.25,y\n3.5,3.25,n\n",
      ', whose label, "y", rows below have too',
    ],
    [
      "a cell that looks like the name of labels",
      "y,0.5,cat\nn,1.5,dog\ny,2.5,cat\nn,3.5,cat\n",
      ', whose label, "y", rows below have too',
    ],
  ])("%s", async (_, content, reason) => {
    const { file, sets } = load(content);
    const text = await refusal("BAD_DATA", () => sets);
    expect(text).toMatch(`${file}: line 1: `);
    expect(text).toMatch(`could name the columns or be a row${reason}`);
    for (const header of [true, false]) {
      const { train } = await load(content, { header }).sets;
      expect(train.length).toBe(content.split("\n").length - (header ? 2 : 1));
    }
  });
});
