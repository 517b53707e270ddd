import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { csvTable } from "../../../src/data/formats/csv_table.js";
import {
  type LoadDataOptions,
  labelsOf,
  loadData,
  parsePreprocessing,
  preprocessingOf,
  readSamples,
  type TableLayout,
} from "../../../src/data/index.js";
import { fixture } from "../numpy_support.js";
import { folderOf, refusal } from "../support.js";

const text = (body: string | Uint8Array) => (typeof body === "string" ? Buffer.from(body) : body);
const WHOLE = { testFraction: 0 };

/** Loads a table of this text out of `t.csv`, with other files beside it. */
function load(
  content: string | Uint8Array,
  options: LoadDataOptions = WHOLE,
  others: Record<string, string> = {},
  file = "t.csv",
) {
  const entries = Object.entries<string | Uint8Array>({ [file]: content, ...others });
  const folder = folderOf(Object.fromEntries(entries.map(([name, body]) => [name, text(body)])));
  return { file: join(folder, file), folder, sets: loadData(join(folder, file), options) };
}

const openCsv = csvTable.openRecords as NonNullable<typeof csvTable.openRecords>;

const ROWS = "height,colour,weight,kind\n1,red,10,pear\n3,blue,10,apple\n5,red,10,pear\n";
/** Of 1, 3, 5. */
const STD = Math.sqrt(8 / 3);

describe("what is read", () => {
  test("numbers are standardised, texts are one-hot, a constant column is 0", async () => {
    const { name, train, test } = await load(ROWS).sets;
    expect([name, train.name, train.length, train.features, train.classes, test]).toEqual(["t", "t", 3, 4, 2, null]);
    expect(train.classNames).toEqual(["apple", "pear"]);
    expect([...labelsOf(train)]).toEqual([1, 0, 1]);
    expect(train.table).toEqual({
      columns: [
        { name: "height", mean: 3, std: STD },
        { name: "colour", categories: ["blue", "red"] },
        { name: "weight", mean: 10, std: 1 },
      ],
      label: { name: "kind", index: 3 },
      header: true,
    });
    const z = Math.fround(2 / STD);
    expect(train.slice(0, 3).inputs.toArray()).toEqual([
      [-z, 0, 1, 0],
      [0, 1, 0, 0],
      [z, 0, 1, 0],
    ]);
    expect(preprocessingOf(train)).toEqual({
      kind: "table",
      ...train.table,
      classes: 2,
      classNames: ["apple", "pear"],
    });
  });

  test.each<[string, string]>([
    ["Windows' line ends", ROWS.replaceAll("\n", "\r\n")],
    ["old Macintosh's", ROWS.replaceAll("\n", "\r")],
    ["semicolons", ROWS.replaceAll(",", ";")],
    ["tabs", ROWS.replaceAll(",", "\t")],
    ["a byte order mark", `\ufeff${ROWS}`],
    ["no line end at the end", ROWS.trimEnd()],
    ["blank lines", `\n${ROWS.replaceAll("\n", "\n \n")}\n\n`],
    ["spaces", ROWS.replaceAll(",", " , ")],
    ["quotes", ROWS.replaceAll("red", '"red"').replaceAll("10", '"10"')],
    ["other forms of numbers", ROWS.replace("1,red", "+1.0e0,red").replace("5,", "50e-1,").replace("3,", "3.,")],
  ])("%s", async (_, content) => {
    const [plain, other] = await Promise.all([load(ROWS).sets, load(content).sets]);
    expect(other.train.table).toEqual(plain.train.table);
    expect(other.train.slice(0, 3).inputs).toEqual(plain.train.slice(0, 3).inputs);
    expect([...labelsOf(other.train)]).toEqual([1, 0, 1]);
  });

  test("texts with commas, quotes and line ends", async () => {
    const { train } = await load('a,kind\n1,"a, ""b""\nc"\n2,d\n3,d\n').sets;
    expect(train.classNames).toEqual(['a, "b"\nc', "d"]);
  });

  test.each<[string, string, BufferEncoding]>([
    ["LF", "\n", "utf8"],
    ["CRLF", "\r\n", "utf8"],
    ["CR", "\r", "utf8"],
    ["LF, in UTF-16", "\n", "utf16le"],
    ["CRLF, in UTF-16", "\r\n", "utf16le"],
  ])("texts of many lines are read in blocks of whole records: %s", async (_, end, encoding) => {
    // U+0A0D and U+0D0A have the bytes of line ends in UTF-16.
    const texts = Array.from({ length: 2000 }, (_, i) => `${i}: "\u0a0d"${"\na line, \u0d0a".repeat(i % 40)}`);
    const rows = texts.map((text, i) => `"${text.replaceAll('"', '""')}",${"ab"[i % 2]}\n`);
    const content = `\ufefftext,label\n${rows.join("")}`.replaceAll("\n", end);
    const path = join(folderOf({ "t.csv": Buffer.from(content, encoding) }), "t.csv");
    const records = await openCsv(path);
    const seen: [readonly string[], number][] = [];
    await records.scan((cells, line) => seen.push([cells, line]));
    let line = 2;
    const expected = texts.map((text, i): [readonly string[], number] => {
      const own = line;
      line += 1 + (i % 40);
      return [[text, "ab"[i % 2]], own];
    });
    expect(seen).toEqual([[["text", "label"], 1], ...expected]);
    expect(records.first().length).toBeLessThan(1500);
    const again: unknown[] = [];
    records.read(1500, 1502, (cells, line, number) => again.push([cells, line, number]));
    expect(again).toEqual([1500, 1501].map((number) => [...expected[number - 1], number]));
  });

  test.each<[string, string, LoadDataOptions, Partial<TableLayout>]>([
    ["the column called class", "class,a\nx,1\ny,2\n", {}, { label: { name: "class", index: 0 }, header: true }],
    [
      "the column called Target",
      "a,Target,b\n1,x,2\n2,y,4\n",
      {},
      { label: { name: "Target", index: 1 }, header: true },
    ],
    ["the last column", "a,b,c\n1,2,x\n2,4,y\n", {}, { label: { name: "c", index: 2 }, header: true }],
    ["a name", "a,b,c\n1,u,x\n2,v,y\n", { labelColumn: "b" }, { label: { name: "b", index: 1 }, header: true }],
    ["a place", "a,b,c\n1,u,x\n2,v,y\n", { labelColumn: 1 }, { label: { name: "b", index: 1 }, header: true }],
    [
      "a place as text",
      "a,b,c\n1,u,x\n2,v,y\n",
      { labelColumn: "1" },
      { label: { name: "b", index: 1 }, header: true },
    ],
    [
      "a place from the end",
      "a,b,c\n1,u,x\n2,v,y\n",
      { labelColumn: -2 },
      { label: { name: "b", index: 1 }, header: true },
    ],
    ["no header: the last column", "1,2,x\n2,4,y\n", {}, { label: { name: "2", index: 2 }, header: false }],
    ["no header: a place", "x,1,2\ny,2,4\n", { labelColumn: 0 }, { label: { name: "0", index: 0 }, header: false }],
    [
      "numbers as names, beside label",
      "label,0,1\nx,1,2\ny,3,4\n",
      {},
      { label: { name: "label", index: 0 }, header: true },
    ],
    [
      "numbers as names, with header: true",
      "0,1\n1,x\n2,y\n",
      { header: true },
      { label: { name: "1", index: 1 }, header: true },
    ],
    [
      "texts alone, with header: false",
      "u,x\nv,y\n",
      { header: false },
      { label: { name: "1", index: 1 }, header: false },
    ],
  ])("the label is %s", async (_, content, options, layout) => {
    const { train } = await load(content, { ...WHOLE, ...options }).sets;
    expect(train.table).toMatchObject(layout);
    expect([train.length, [...labelsOf(train)]]).toEqual([2, [0, 1]]);
  });

  test("classes are sorted, as numbers where all are whole", async () => {
    const classes = async (...labels: string[]) => {
      const { train } = await load(`a,label\n${labels.map((label) => `1,${label}\n`).join("")}`).sets;
      return [train.classNames, [...labelsOf(train)]];
    };
    expect(await classes("10", "9", "-1", "9")).toEqual([
      ["-1", "9", "10"],
      [2, 1, 0, 1],
    ]);
    expect(await classes("1.0", "1", "2")).toEqual([
      ["1", "2"],
      [0, 0, 1],
    ]);
    expect(await classes("007", "7", "7")).toEqual([
      ["007", "7"],
      [0, 1, 1],
    ]);
    expect(await classes("10", "9", "b")).toEqual([
      ["10", "9", "b"],
      [0, 1, 2],
    ]);
    expect(await classes("b", "B", "ä", "b")).toEqual([
      ["B", "b", "ä"],
      [1, 0, 2, 1],
    ]);
  });

  test("numbers far from 0 keep their digits", async () => {
    const { train } = await load("t,label\n1700000000001,x\n1700000000002,y\n1700000000003,x\n").sets;
    const z = Math.fround(1 / Math.sqrt(2 / 3));
    expect(Array.from(train.slice(0, 3).inputs.data)).toEqual([-z, 0, z]);
  });

  test("columns named as an object's own properties", async () => {
    const { train } = await load("constructor,__proto__,label\n1,toString,x\n3,valueOf,y\n").sets;
    expect(train.slice(0, 2).inputs.toArray()).toEqual([
      [-1, 1, 0],
      [1, 0, 1],
    ]);
  });
});

describe("a test part", () => {
  test("whose label is there twice is refused", async () => {
    const { folder, sets } = load(ROWS, {}, { "t_test.csv": "kind,weight,colour,height,kind\npear,12,blue,7,apple\n" });
    expect(await refusal("BAD_DATA", () => sets)).toBe(
      `${join(folder, "t_test.csv")}: line 1: two columns are called "kind"`,
    );
  });

  const TESTED = "kind,weight,colour,id,height\npear,12,blue,7,7\n";

  test.each([
    ["t.csv", "t_test.csv"],
    ["train.csv", "test.csv"],
    ["fruit_train.csv", "fruit_test.csv"],
  ])("beside %s is %s, its columns in another order", async (file, testFile) => {
    const { train, test } = await load(ROWS, {}, { [testFile]: TESTED }, file).sets;
    expect([train.length, test?.length, test?.classes]).toEqual([3, 1, 2]);
    expect(test?.slice(0, 1).inputs.toArray()).toEqual([[Math.fround(4 / STD), 1, 0, 2]]);
    expect([test?.table, test?.classNames]).toEqual([train.table, train.classNames]);
    expect(test?.labels?.toArray()).toEqual([1]);
  });

  test.each([
    ["t.csv", "t_test.csv", "t_val.csv"],
    ["train.csv", "test.csv", "valid.csv"],
    ["Train.csv", "Test.csv", "Val.csv"],
    ["training.csv", "testing.csv", "val_set.csv"],
    ["fruit_train.csv", "fruit_test.csv", "fruit_validation.csv"],
  ])("beside %s and %s the validation part is %s, once", async (file, testFile, validationFile) => {
    const others = { [testFile]: TESTED, [validationFile]: TESTED };
    const { test, validation } = await load(ROWS, {}, others, file).sets;
    expect(validation?.slice(0, 1).inputs.toArray()).toEqual(test?.slice(0, 1).inputs.toArray());
    const second = validationFile.replace(/val(id|idation|_set)?\.csv$/i, (end) =>
      end === "val.csv" ? "valid.csv" : "val.csv",
    );
    await expect(load(ROWS, {}, { ...others, [second]: TESTED }, file).sets).rejects.toThrow(
      /expected one validation file, has "[\w.]+", "[\w.]+"/,
    );
  });

  test("a folder with train.csv and test.csv", async () => {
    const { folder } = load(ROWS, {}, { "test.csv": TESTED }, "train.csv");
    const { name, train, test } = await loadData(folder);
    expect([name, train.length, test?.length]).toEqual(["images", 3, 1]);
  });

  test("without a header", async () => {
    const { test } = await load("1,x\n3,y\n", {}, { "t_test.csv": "5,y\n" }).sets;
    expect(test?.slice(0, 1).inputs.toArray()).toEqual([[3]]);
  });

  test("set aside by class, before anything is measured", async () => {
    const rows = Array.from({ length: 50 }, (_, i) => `${i * i},${i % 5 === 0 ? "rare" : "common"}\n`);
    const { train, test } = await load(`a,label\n${rows.join("")}`, {}).sets;
    expect([train.length, test?.length]).toEqual([40, 10]);
    expect([...labelsOf(train)].filter((label) => label === 1)).toHaveLength(8);
    const { data } = train.slice(0, 40).inputs;
    expect(data.reduce((a, b) => a + b) / 40).toBeCloseTo(0, 6);
    expect(data.reduce((a, b) => a + b * b, 0) / 40).toBeCloseTo(1, 6);
    const [column] = train.table?.columns ?? [];
    const { mean, std } = column as { mean: number; std: number };
    const squares = [...data, ...(test?.slice(0, 10).inputs.data ?? [])].map((z) => Math.round(z * std + mean) + 0);
    expect(squares.sort((a, b) => a - b)).toEqual(rows.map((_, i) => i * i));
    const again = await load(`a,label\n${rows.join("")}`, {}).sets;
    const other = await load(`a,label\n${rows.join("")}`, { splitSeed: 1 }).sets;
    expect(again.test?.fingerprint()).toBe(test?.fingerprint());
    expect(other.test?.fingerprint()).not.toBe(test?.fingerprint());
  });
});

describe("refused", () => {
  const many = Array.from({ length: 101 }, (_, i) => `n${i},${i % 2}\n`).join("");
  test.each<[string, string, string, LoadDataOptions?]>([
    ["nothing", "", "truncated: it has no rows"],
    ["blank lines alone", "\n \n", "truncated: it has no rows"],
    ["a header alone", "a,label\n", "truncated: it has no rows"],
    ["a short row", "a,label\n1,x\n2\n", "line 3: expected 2 cells, got 1"],
    [
      "a long row",
      "a,label\n1,x\n\n2,y,z\n",
      "line 4: expected 2 cells, got 3: one that contains the separator stands in quotes",
    ],
    [
      "a long row after a text of two lines",
      'a,label\n1,"x\ny"\n2,y,z\n',
      "line 4: expected 2 cells, got 3: one that contains the separator stands in quotes",
    ],
    [
      "an empty cell",
      "a,label\n1,x\n,y\n",
      'line 3, "a": is empty: missing (--missing) says what becomes of it: error (the default), mean or category',
    ],
    [
      "an empty first cell",
      "a,label\n,x\n1,y\n",
      'line 2, "a": is empty: missing (--missing) says what becomes of it: error (the default), mean or category',
    ],
    [
      "an empty text",
      "a,label\nu,x\n ,y\n",
      'line 3, "a": is empty: missing (--missing) says what becomes of it: error (the default), mean or category',
    ],
    [
      "a missing label",
      "a,label\n1,x\n2,\n",
      'line 3: its label, "label", is empty: leave the row out, or, if it is a class, take the row without one (--unlabelled)',
    ],
    [
      "a text among numbers",
      "a,label\n1,x\n2O,y\n",
      'line 3, "a": expected a number, as 1 of 2 cells are, got "2O": correct it, or leave the column out with dropColumns (--drop-columns)',
    ],
    [
      "NaN",
      "a,label\n1,x\nnan,y\n",
      'line 3, "a": is missing: "nan": missing (--missing) says what becomes of it: error (the default), mean or category',
    ],
    [
      "infinity",
      "a,label\n1,x\n1e400,y\n",
      'line 3, "a": expected a number, as 1 of 2 cells are, got "1e400": correct it, or leave the column out with dropColumns (--drop-columns)',
    ],
    [
      "hexadecimal",
      "a,label\n1,x\n0x10,y\n",
      'line 3, "a": expected a number, as 1 of 2 cells are, got "0x10": correct it, or leave the column out with dropColumns (--drop-columns)',
    ],
    [
      "too many texts",
      `a,label\n${many}`,
      'line 102, "a": a column of texts, "n100" is number 101: only numbers and columns of at most 100 texts are read, or one column of texts to read (--text-column): leave the column out with dropColumns (--drop-columns)',
    ],
    ["a name twice", "a,b,a,label\n1,2,3,x\n", 'line 1: two columns are called "a"'],
    [
      "a column without a name",
      ",a,label\n0,1,x\n",
      "line 1: column 0 has no name: name it, or leave it out: dropColumns (--drop-columns 0), or to_csv(index=False) in pandas",
    ],
    [
      "two labels",
      "class,a,y\n1,2,3\n",
      'line 1: "class", "y" could each be the label: set labelColumn (--label-column)',
    ],
    ["one column", "label\nx\ny\n", "line 1: expected at least two columns, got 1"],
    ["one class", "a,label\n1,x\n2,x\n", 'expected at least two classes, got only "x"'],
    [
      "a regression",
      "a,label\n1,2\n2,2.5\n",
      'line 3: expected a class as label, "label", got "2.5": name the column of the classes (--label-column), or --task regression takes it as a number',
    ],
    ["an open quote", 'a,label\n1,x\n2,"y\n', "line 3: quoted field unterminated"],
    ["text after a quote", 'a,label\n1,x\n2,"y"z\n3,x\n', "line 3: trailing quote on quoted field is malformed"],
    ["numbers that are too large", "a,label\n1e200,x\n-1e200,y\n", '"a": its numbers are too large to be standardised'],
    ["too small ones", "a,label\n1e-50,x\n0,y\n", '"a": its numbers are too close to each other to be standardised'],
    [
      "targets that are too small",
      "a,target\n1,1e-50\n2,0\n",
      'the target "target": its numbers are too close to each other to be standardised',
      { ...WHOLE, task: "regression" },
    ],
    [
      "a number that is no class, though it is said that it is one",
      "a,label\n1,2\n2,2.5\n",
      'line 3: expected a class as label, "label", got "2.5": a class is a whole number up to 2^53 - 1 or a text: put a letter in front, as in c1',
      { ...WHOLE, task: "classification" },
    ],
  ])("%s", async (_, content, problem, options) => {
    const { file, sets } = load(content, options);
    expect(await refusal("BAD_DATA", () => sets)).toBe(`${file}: ${problem}`);
  });

  test.each<[string, string, string]>([
    [
      "an unseen label",
      "height,colour,weight,kind\n1,red,10,pear\n1,red,10,plum\n",
      'line 3: the label "plum" is not in the training file',
    ],
    [
      "an unseen text",
      "height,colour,weight,kind\n1,green,10,pear\n",
      'line 2, "colour": "green" is not in the training file',
    ],
    [
      "a column that is missing",
      "height,colour,kind\n1,red,pear\n",
      'line 1: no column is called "weight", as one of the training file',
    ],
    [
      "no numbers",
      "height,colour,weight,kind\nred,red,10,pear\n",
      'line 2, "height": expected a number, as in the training file, got "red"',
    ],
    ["no rows", "height,colour,weight,kind\n", "truncated: it has no rows"],
    [
      "a number out of reach",
      "height,colour,weight,kind\n1e300,red,10,pear\n",
      'row 1, "height": 1e+300 becomes a number beyond float32\'s range',
    ],
  ])("in the test file: %s", async (_, content, problem) => {
    const { folder, sets } = load(ROWS, {}, { "t_test.csv": content });
    expect(await refusal("BAD_DATA", () => sets)).toBe(`${join(folder, "t_test.csv")}: ${problem}`);
  });

  test("a test file without labels", async () => {
    const { folder, file, sets } = load(ROWS, {}, { "test.csv": "height,colour,weight\n1,red,10\n" }, "train.csv");
    expect(await refusal("BAD_DATA", () => sets)).toBe(
      `${join(folder, "test.csv")}: line 1: the label, "kind", is missing: add it; or move the file away, and a fraction of ` +
        `the rows of ${file} is held out instead`,
    );
  });

  test("no class of two rows, of which one could be set aside", async () => {
    const { file, sets } = load("a,label\n1,x\n2,y\n", {});
    const problem =
      'no class has two samples, one of which could be held out for testing: the label column is "label"; set labelColumn (--label-column) to use another';
    expect(await refusal("BAD_DATA", () => sets)).toBe(`${file}: ${problem}`);
  });

  test("one row of a regression, which has no classes", async () => {
    const { file, sets } = load("a,label\n1,2.5\n", { task: "regression" });
    const problem = "expected at least two samples, to hold one out for testing, got 1";
    expect(await refusal("BAD_DATA", () => sets)).toBe(`${file}: ${problem}`);
  });

  test("bytes that are no text", async () => {
    const folder = folderOf({ "t.csv": Uint8Array.of(0x61, 0xff, 0x0a) });
    expect(await refusal("BAD_DATA", () => loadData(join(folder, "t.csv")))).toBe(
      `${join(folder, "t.csv")}: line 1: not text in UTF-8: set encoding (--encoding), such as latin1`,
    );
  });

  test.each([
    ["is gzipped: unpack it first", gzipSync(ROWS)],
    [
      "is a zip archive, as a spreadsheet (.xlsx) is too: unpack it, or save its table as CSV",
      fixture("compressed.npz"),
    ],
  ])("a table that %s, whatever the encoding", async (problem, bytes) => {
    for (const encoding of [undefined, "latin1"]) {
      const { file, sets } = load(bytes, { ...WHOLE, ...(encoding && { encoding }) });
      expect(await refusal("BAD_DATA", () => sets)).toBe(`${file}: ${problem}`);
    }
  });

  test.each<[unknown, string]>([
    ["x", 'labelColumn: expected a column of FILE, "height", "colour", "weight", "kind", or its index from 0, got "x"'],
    [4, 'labelColumn: expected a column of FILE, "height", "colour", "weight", "kind", or its index from 0, got 4'],
    [-5, 'labelColumn: expected a column of FILE, "height", "colour", "weight", "kind", or its index from 0, got -5'],
    [1.5, "labelColumn: expected the name of a column, or its index, got 1.5"],
    [null, "labelColumn: expected the name of a column, or its index, got null"],
  ])("the label column %j", async (labelColumn, problem) => {
    const { file, sets } = load(ROWS, { labelColumn: labelColumn as string });
    expect(await refusal("BAD_ARGUMENT", () => sets)).toBe(problem.replace("FILE", file));
  });

  test("every cut of a file is read or refused", async () => {
    const content = 'a,b,label\n1,"u",x\n2,"v",y\n3,u,x\n';
    for (let end = 0; end < content.length; end++) {
      const { sets } = load(content.slice(0, end));
      await sets.catch((error) => expect(error.code, error).toBe("BAD_DATA"));
    }
  });
});

describe("cells that are missing", () => {
  const content = "a,b,label\nNA,red,x\n1,,y\n3,red,x\n,blue,y\n5,-,x\n";

  test("are a category beside the hundred that a column may have, which its network's file may have too", async () => {
    const rows = Array.from({ length: 100 }, (_, i) => `c${i},${i % 2}`).join("\n");
    const { train } = await load(`a,label\n${rows}\n,0\n`, { ...WHOLE, missing: "mean" }).sets;
    const spec = preprocessingOf(train);
    expect(train.features).toBe(101);
    expect(parsePreprocessing(JSON.parse(JSON.stringify(spec)), "x")).toEqual(spec);
  });

  test("are an error with the line", async () => {
    const { file, sets } = load(content);
    expect(await refusal("BAD_DATA", () => sets)).toBe(
      `${file}: line 2, "a": is missing: "NA": missing (--missing) says what becomes of it: error (the default), mean or category`,
    );
  });

  test.each([false, true])("become the mean, or a category of their own; streamed: %s", async (stream) => {
    const { train } = await load(content, { ...WHOLE, missing: "mean", stream }).sets;
    expect(train.table?.columns).toEqual([
      { name: "a", mean: 3, std: Math.sqrt(8 / 3), missing: true },
      { name: "b", categories: ["", "blue", "red"] },
    ]);
    const z = Math.fround(2 / Math.sqrt(8 / 3));
    expect(train.slice(0, 5).inputs.toArray()).toEqual([
      [0, 0, 0, 1],
      [-z, 1, 0, 0],
      [0, 0, 0, 1],
      [0, 0, 1, 0],
      [z, 1, 0, 0],
    ]);
    const { inputs } = await readSamples(
      join(folderOf({ "new.csv": text("a,b\nnan,red\n5,\n") }), "new.csv"),
      preprocessingOf(train),
    );
    expect(inputs.toArray()).toEqual([
      [0, 0, 0, 1],
      [z, 1, 0, 0],
    ]);
  });

  test.each([
    ["a,label\nNA,x\n-,y\n", { missing: "mean" as const }, '"a": all its cells are missing: leave the column out'],
    [
      "a,label\n1,x\n2,-\n",
      {},
      'line 3: its label, "label", is missing: "-": leave the row out, or, if it is a class, take the row without one (--unlabelled)',
    ],
    [
      "a,label\n1,x\n2,NA\n",
      {},
      'line 3: its label, "label", is missing: "NA": leave the row out, or, if it is a class, take the row without one (--unlabelled)',
    ],
    [
      `a,label\n${Array.from({ length: 20 }, (_, i) => `1,${i % 5}\n`).join("")}1,none\n`,
      {},
      'line 22: expected a number as label, "label", as nearly all others are, got "none"',
    ],
  ])("that cannot be filled: %j", async (content, options, problem) => {
    const { file, sets } = load(content, { ...WHOLE, ...options });
    expect(await refusal("BAD_DATA", () => sets)).toBe(`${file}: ${problem}`);
  });
});

test("rows without a label are read for a network if it is said", async () => {
  const { file, sets } = load("a,label\n1,x\n2,\n3,y\n", { ...WHOLE, unlabelled: true });
  const { train } = await sets;
  const preprocessing = preprocessingOf(train);
  const again = await loadData(file, { ...WHOLE, preprocessing, unlabelled: true });
  expect([[...labelsOf(again.train)], again.train.unlabelled]).toEqual([[0, -1, 1], true]);
  expect(again.train.slice(0, 3)).toEqual(train.slice(0, 3));
  expect(await refusal("BAD_DATA", () => loadData(file, { ...WHOLE, preprocessing }))).toBe(
    `${file}: line 3: its label, "label", is missing: leave the row out, or take it without one (--unlabelled)`,
  );
});

describe("how a file is written", () => {
  const plain = "a,b,label\n1,x y,k\n2,z,l\n3,z,k\n";
  const utf16 = (text: string, swap: boolean) => {
    const bytes = Buffer.from(`\ufeff${text}`, "utf16le");
    return swap ? bytes.swap16() : bytes;
  };
  test.each<[string, string | Uint8Array]>([
    ["bars", plain.replaceAll(",", "|")],
    ["sep=", `sep=;\n${plain.replaceAll(",", ";")}`],
    ["sep= of another sign", `sep=^\r\n${plain.replaceAll(",", "^").replaceAll("\n", "\r\n")}`],
    ["UTF-16, little endian", utf16(plain, false)],
    ["UTF-16, big endian", utf16(plain, true)],
    ["a byte order mark", `\ufeff${plain}`],
  ])("%s", async (_, content) => {
    const [expected, got] = [await load(plain, WHOLE).sets, await load(content, WHOLE).sets];
    expect(got.train.slice(0, 3).inputs.data).toEqual(expected.train.slice(0, 3).inputs.data);
    expect(got.train.table).toEqual(expected.train.table);
  });

  test.each<[string, BufferEncoding | undefined, string]>([
    ["latin1", "latin1", "a,b,label\n1,é,k\n2,ü,l\n"],
    ["ISO-8859-1", "latin1", "a,b,label\n1,é,k\n2,ü,l\n"],
    ["utf-16le", "utf16le", "a,b,label\n1,é,k\n2,ü,l\n"],
    ["latin1", undefined, "\ufeffa,b,label\n1,é,k\n2,ü,l\n"],
  ])("--encoding %s of a file in %s", async (encoding, written, content) => {
    const bytes = Buffer.from(content, written ?? "utf8");
    const { file, sets } = load(bytes, { ...WHOLE, encoding });
    const { train } = await sets;
    expect(train.table?.columns[1]).toEqual({ name: "b", categories: ["é", "ü"] });
    const { inputs } = await readSamples(file, preprocessingOf(train), { encoding });
    expect(inputs).toEqual(train.slice(0, 2).inputs);
  });

  test("UTF-16 without a byte order mark, and a NUL, are said", async () => {
    const named = async (encoding: "utf-16le" | "utf-16be") => {
      const bytes = Buffer.from("a,b,label\n1,é,k\n2,ü,l\n", "utf16le");
      const content = encoding === "utf-16be" ? bytes.swap16() : bytes;
      const { file, sets } = load(content, WHOLE);
      expect(await refusal("BAD_DATA", () => sets)).toBe(
        `${file}: line 1: has a NUL in every second byte, as ${encoding.toUpperCase()} without a byte order mark: set encoding (--encoding) to ${encoding}`,
      );
      expect((await load(content, { ...WHOLE, encoding }).sets).train.length).toBe(2);
    };
    await named("utf-16le");
    await named("utf-16be");
    const { file, sets } = load("a,label\n1,x\n2,\0y\n", WHOLE);
    expect(await refusal("BAD_DATA", () => sets)).toBe(`${file}: line 3: has a NUL character: is this a text file?`);
  });

  test("options of images are refused", async () => {
    expect(await refusal("BAD_ARGUMENT", () => load(ROWS, { ...WHOLE, imageSize: 8 }).sets)).toMatch(
      /^imageSize: is an option of a folder of PNG, .* images by class: .*t\.csv is a \.csv or \.tsv table$/,
    );
    expect(await refusal("BAD_ARGUMENT", () => load(ROWS, { ...WHOLE, grey: false }).sets)).toMatch(
      /^grey: is an option/,
    );
    // Defaults say nothing.
    expect((await load(ROWS, { ...WHOLE, exifOrientation: false, standardize: true }).sets).train.length).toBe(3);
  });

  test("an encoding that does not exist, and bytes that are not in it", async () => {
    expect(await refusal("BAD_ARGUMENT", () => load(plain, { ...WHOLE, encoding: "latin-9000" }).sets)).toBe(
      'encoding: expected an encoding, such as utf-8, utf-16le, latin1 or windows-1252, got "latin-9000"',
    );
    const { file, sets } = load(Buffer.from("a,label\n1,x\n2,é\n", "latin1"), WHOLE);
    expect(await refusal("BAD_DATA", () => sets)).toBe(
      `${file}: line 3: not text in UTF-8: set encoding (--encoding), such as latin1`,
    );
  });

  test("numbers in the header may be a row", async () => {
    const content = "0,1,outcome\n5,6,k\n7,8,l\n";
    const { file, sets } = load(content, WHOLE);
    expect(await refusal("BAD_DATA", () => sets)).toBe(
      `${file}: line 1: "0", "1", "outcome" could name the columns or be a row: set header (--header, --no-header)`,
    );
    expect((await load(content, { ...WHOLE, header: true }).sets).train.length).toBe(2);
    expect((await load(content, { ...WHOLE, header: false }).sets).train.length).toBe(3);
  });
});
