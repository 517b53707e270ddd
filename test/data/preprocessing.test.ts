import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseNumber } from "../../src/data/preprocessing/number_format.js";
import {
  encodeSamples,
  exportJs,
  ImageDataset,
  type ImagePreprocessing,
  inputFeatures,
  Linear,
  loadData,
  type Preprocessing,
  parsePreprocessing,
  preprocessingOf,
  StandardizedDataset,
  splitDataset,
  TableDataset,
  type TableLayout,
  type TablePreprocessing,
  type TableRow,
  TensorDataset,
  tensor,
  type ValuePreprocessing,
  zeros,
} from "../../src/index.js";
import { cpuTime } from "../helpers/cpu_time.js";
import { folderOf, refusal } from "./support.js";

const image = { channels: 2, height: 1, width: 2 };
const images = new ImageDataset(Uint8Array.of(0, 255, 51, 102, 1, 2, 3, 4), Int32Array.of(0, 1), {
  image,
  mean: [0.5, 0.25],
  std: [0.5, 2],
  classNames: ["no", "yes"],
});
const values = new TensorDataset(
  tensor([
    [0.5, 1e-3],
    [2, 3],
  ]),
  Int32Array.of(1, 0),
);
const CSV = "a,colour,label\n1,red,x\n3,blue,y\n8,red,x\n";

async function table() {
  const folder = folderOf({ "t.csv": Uint8Array.from(Buffer.from(CSV)) });
  return (await loadData(join(folder, "t.csv"), { testFraction: 0 })).train;
}

describe("described, kept as JSON, and read again", () => {
  test("images", () => {
    const described = preprocessingOf(images) as ImagePreprocessing;
    expect(described).toEqual({
      kind: "image",
      ...image,
      mean: [0.5, 0.25],
      std: [0.5, 2],
      classes: 2,
      classNames: ["no", "yes"],
    });
    const again = parsePreprocessing(JSON.parse(JSON.stringify(described)), "x") as ImagePreprocessing;
    expect(again).toEqual(described);
    expect(encodeSamples(again, images.pixels)).toEqual(images.slice(0, 2).inputs);
    expect(inputFeatures(again)).toBe(4);
  });

  test("a table: the same bits for the rows that it was made of", async () => {
    const train = await table();
    const again = parsePreprocessing(JSON.parse(JSON.stringify(preprocessingOf(train))), "x") as TablePreprocessing;
    expect(again).toEqual(preprocessingOf(train));
    const rows: TableRow[] = [
      { a: 1, colour: "red" },
      { a: "3", colour: " blue " },
      { colour: "red", a: 8, label: "x", more: 1 },
    ];
    expect(encodeSamples(again, rows)).toEqual(train.slice(0, 3).inputs);
    expect(inputFeatures(again)).toBe(3);
  });

  test("values", () => {
    const again = parsePreprocessing(JSON.parse(JSON.stringify(preprocessingOf(values))), "x") as ValuePreprocessing;
    expect(again).toEqual({ kind: "values", features: 2, classes: 2, classNames: null });
    expect(encodeSamples(again, values.inputs.data)).toEqual(values.slice(0, 2).inputs);
    expect(inputFeatures(again)).toBe(2);
  });

  test("a part of a data set is described as the whole", async () => {
    const whole = await table();
    expect(preprocessingOf(splitDataset(whole, { count: 1 }).train)).toEqual(preprocessingOf(whole));
  });
});

describe("samples that can't be encoded", () => {
  const described = preprocessingOf(images) as ImagePreprocessing;
  const scaled: ValuePreprocessing = {
    kind: "values",
    features: 2,
    mean: [1, -2],
    std: [0.5, 1e-3],
    classes: 2,
    classNames: null,
  };
  test.each<[string, () => unknown, string]>([
    [
      "BAD_DTYPE",
      () => encodeSamples(described, new Float32Array(4) as never),
      "pixels: expected a Uint8Array, got a value of type Float32Array",
    ],
    ["SHAPE_MISMATCH", () => encodeSamples(described, new Uint8Array(5)), "pixels: expected shape [8], got [5]"],
    [
      "BAD_ARGUMENT",
      () => encodeSamples(described, new Uint8Array(0)),
      "the number of pixels: expected a whole number from 1 to 2147483647, got 0",
    ],
    [
      "BAD_DTYPE",
      () => encodeSamples(preprocessingOf(values) as ValuePreprocessing, [1, 2] as never),
      "values: expected a Float32Array, got [1, 2]",
    ],
    [
      "BAD_ARGUMENT",
      () => encodeSamples(scaled, Float32Array.of(1, 2, 3, -1e38)),
      "values[3]: -9.999999680285692e+37 is too far from the mean of -2",
    ],
    [
      "BAD_ARGUMENT",
      () => encodeSamples(scaled, Float64Array.of(1, Number.NaN)),
      "values[1]: expected a finite number, got NaN",
    ],
    [
      "BAD_ARGUMENT",
      () => encodeSamples(preprocessingOf(values) as ValuePreprocessing, Float64Array.of(1, Number.NaN)),
      "values[1]: expected a finite number, got NaN",
    ],
    [
      "BAD_ARGUMENT",
      () => encodeSamples(preprocessingOf(values) as ValuePreprocessing, Float64Array.of(1, 1e300)),
      "values[1]: 1e+300 is beyond float32's range",
    ],
    ["BAD_ARGUMENT", () => preprocessingOf({} as never), "dataset: expected a Dataset, got a value of type Object"],
  ])("%s %#", async (code, body, text) => {
    expect(await refusal(code, body)).toBe(text);
  });

  test.each<[unknown, string]>([
    [{ a: 1 }, 'rows[0], "colour": expected a cell, got nothing'],
    [{ A: 1, colour: "red" }, 'rows[0], "a": expected a cell, got nothing: the row has "A", which is no column'],
    [{ a: "", colour: "red" }, 'rows[0], "a": is empty'],
    [{ a: "1O", colour: "red" }, 'rows[0], "a": expected a number, got "1O"'],
    [{ a: Number.NaN, colour: "red" }, 'rows[0], "a": expected a number, got "NaN"'],
    [{ a: 1e300, colour: "red" }, 'rows[0], "a": "1e+300" is too far from the column\'s mean of 4'],
    [{ a: 1, colour: "green" }, 'rows[0], "colour": expected one of "blue", "red", got "green"'],
    [{ a: 1, colour: ["red"] }, 'rows[0], "colour": expected a text or a number, got a value of type Array'],
    [{ __proto__: { a: 1, colour: "red" } }, 'rows[0], "a": expected a cell, got nothing'],
    [null, 'rows[0]: expected cells by the names of columns, as {"a": 4, "colour": "blue"}, got null'],
  ])("the row %j", async (row, text) => {
    const described = preprocessingOf(await table()) as TablePreprocessing;
    expect(await refusal("BAD_ARGUMENT", () => encodeSamples(described, [row as never]))).toBe(text);
  });

  // A pattern that takes a step for each pair of digits needs half a minute.
  test.each(["1", "1.", "1,"])("a row of many digits that are no number, %j", async (digits) => {
    const described = preprocessingOf(await table()) as TablePreprocessing;
    const a = `${digits}${"1".repeat(100_000)}x`;
    const start = cpuTime();
    expect(await refusal("BAD_ARGUMENT", () => encodeSamples(described, [{ a, colour: "red" }]))).toContain(
      'rows[0], "a": expected a number, got "1',
    );
    expect(cpuTime() - start).toBeLessThan(5000);
  });

  test("no rows", async () => {
    const described = preprocessingOf(await table()) as TablePreprocessing;
    expect(await refusal("BAD_ARGUMENT", () => encodeSamples(described, []))).toBe(
      "rows.length: expected a whole number of at least 1, got 0",
    );
    expect(await refusal("BAD_DTYPE", () => encodeSamples(described, "a" as never))).toBe(
      'rows: expected a list of rows, got "a"',
    );
  });
});

describe("descriptions that are wrong", () => {
  const valid = JSON.parse(JSON.stringify(preprocessingOf(images)));
  const column = { name: "a", mean: 0, std: 1 };
  const rows = {
    kind: "table",
    columns: [column],
    label: { name: "y", index: 1 },
    header: true,
    classes: 2,
    classNames: null,
  };
  test.each<[unknown, string]>([
    [null, ": expected image, table or values, got null"],
    [{ kind: "sound" }, ', kind: expected image, table or values, got "sound"'],
    [{ ...valid, channels: 0 }, ", channels: expected a whole number from 1 to 2147483647, got 0"],
    [{ ...valid, width: 1.5 }, ", width: expected a whole number from 1 to 2147483647, got 1.5"],
    [{ ...valid, mean: [1] }, ", mean: expected 2 numbers, one a channel, got 1"],
    [{ ...valid, mean: [null, 1] }, ", mean.0: expected a finite number, got null"],
    [{ ...valid, std: [1, 0] }, ", std.1: expected a number above 0, got 0"],
    [{ ...valid, std: [1, 1e-60] }, ", std.1: expected a number above 0, got 1e-60"],
    [{ ...valid, height: 2 ** 30, width: 2 ** 30 }, ": expected at most 2147483647 values a sample"],
    [{ ...valid, classNames: ["a"] }, ", classNames: expected 2 names, got 1"],
    [{ ...valid, classNames: ["a", "a"] }, ", classNames: expected each text once"],
    [{ ...valid, classes: "2" }, ', classes: expected a whole number from 1 to 2147483647, got "2"'],
    [{ ...rows, columns: [] }, ", columns: expected at least one column"],
    [
      { ...rows, columns: [{ name: "a" }] },
      ", columns.0: expected a column with mean and std, with categories, or with the encoding of texts",
    ],
    [{ ...rows, columns: [{ ...column, std: 0 }] }, ", columns.0.std: expected a number above 0, got 0"],
    [{ ...rows, columns: [{ name: "a", mean: 0 }] }, ", columns.0.std: needed"],
    [
      { ...rows, columns: [{ name: "a", text: { kind: "hash", buckets: 9, words: 1, signed: false, length: 4 } }] },
      ", columns.0.text.characters: needed",
    ],
    [
      { ...rows, columns: [{ name: "a", text: { kind: "tokenizer", length: 4 } }] },
      ", columns.0.text.tokenizer: needed",
    ],
    [
      { ...rows, columns: [{ ...column, format: { decimal: ";", group: "", unit: "" } }] },
      ', columns.0.format.decimal: expected "." or ",", got ";"',
    ],
    [{ ...rows, columns: {} }, ", columns: expected a list of columns, got a value of type Object"],
    [{ ...rows, columns: [column, column] }, ', columns: two columns are called "a"'],
    [{ ...rows, label: 3 }, ", label: expected the label's name and index, got 3"],
    [{ ...rows, header: "yes" }, ', header: expected true or false, got "yes"'],
    [
      { kind: "values", features: -1, classes: 2, classNames: null },
      ", features: expected a whole number from 1 to 2147483647, got -1",
    ],
  ])("%j", async (value, problem) => {
    const text = `s.safetensors: its preprocessing${problem}`;
    expect(await refusal("BAD_DATA", () => parsePreprocessing(value, "s.safetensors"))).toBe(text);
    const given = () => exportJs(new Linear(1, 2), { preprocessing: value as Preprocessing });
    const isNone = value === null || (value as Preprocessing).kind === ("sound" as string);
    if (!isNone) expect(await refusal("BAD_ARGUMENT", given)).toBe(`preprocessing${problem.replace(/^, /, ".")}`);
  });
});

describe("the layout of a data set in memory is checked", () => {
  const [two, labels] = [zeros([2, 2]), Int32Array.of(0, 1)];
  const column = { name: "a", mean: 0, std: 1 };
  const table = (columns: readonly object[]) => ({ columns, label: { name: "y", index: 2 }, header: true });

  test.each<[string, string, () => unknown]>([
    [
      "BAD_ARGUMENT",
      "table: expected the layout of a table, got undefined",
      () => new TableDataset(two, labels, {} as never),
    ],
    [
      "BAD_ARGUMENT",
      "table.columns.0.std: expected a number above 0, got 0",
      () => new TableDataset(two, labels, { table: table([{ ...column, std: 0 }]) as TableLayout }),
    ],
    [
      "SHAPE_MISMATCH",
      "table: its columns become 1 values, and a sample has 2",
      () => new TableDataset(two, labels, { table: table([column]) as TableLayout }),
    ],
    [
      "BAD_ARGUMENT",
      'table.columns: two columns are called "a"',
      () => new TableDataset(two, labels, { table: table([column, column]) as TableLayout }),
    ],
    [
      "BAD_ARGUMENT",
      "values.std[0]: expected a finite number, a std above 0, got 1e-320",
      () => new StandardizedDataset(two, labels, { values: { mean: [0, 0], std: [1e-320, 1] } }),
    ],
    [
      "SHAPE_MISMATCH",
      "values.mean: expected shape [2], got [1]",
      () => new StandardizedDataset(two, labels, { values: { mean: [0], std: [1] } }),
    ],
  ])("%s: %s", async (code, text, make) => {
    expect(await refusal(code, make)).toBe(text);
  });
});

test.each([{}, null, undefined, "image", { kind: "text" }])("encodeSamples refuses the spec %j", async (spec) => {
  const text = await refusal("BAD_ARGUMENT", () => encodeSamples(spec as unknown as TablePreprocessing, []));
  expect(text).toContain("spec: expected what preprocessingOf(dataset) or parsePreprocessing gives, got ");
});

test.each<[spec: object, text: string]>([
  [{ kind: "table" }, "spec.columns: needed"],
  [{ mean: [2] }, "spec.mean: expected 2 numbers, one a column, got 1"],
  [{ mean: [2, 2] }, "spec.std: expected 2 numbers, one a column, got 0"],
  [{ means: [2, 2], stds: [2, 2] }, 'spec: unknown option "means", did you mean mean?'],
  [{ mean: [0, 0], std: [-2, "2"] }, "spec.std.0: expected a number above 0, got -2"],
  [{ mean: 0.5, std: [1, 1] }, "spec.mean: expected a list of numbers, got 0.5"],
  [{ features: undefined }, "spec.features: expected a whole number from 1 to 2147483647, got undefined"],
])("encodeSamples and inputFeatures refuse a spec with %o", async (changed, text) => {
  const spec = { ...preprocessingOf(values), ...changed } as ValuePreprocessing;
  if ((spec.kind as string) === "table") Reflect.deleteProperty(spec, "features");
  expect(await refusal("BAD_ARGUMENT", () => encodeSamples(spec, Float32Array.of(1, 2)))).toBe(text);
  expect(await refusal("BAD_ARGUMENT", () => inputFeatures(spec))).toBe(text);
});

test("a text is the number that JavaScript reads, to the last bit, or none", () => {
  const pattern = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
  const wanted = (text: string) => (pattern.test(text) && Number.isFinite(Number(text)) ? Number(text) : null);
  const texts = ["", "-", "+", ".", "-.", "-0", "-0.0", "+1.5", "1.", ".5", "-.5", "1.2.3", "--1", "1-", "1e5", "0x10"];
  const long = ["999999999999999", "9.99999999999999", "-123456789012345.", "-.123456789012345", "0000000000000.10"];
  const longer = ["9999999999999999", "0.1234567890123456", "-9007199254740993", "9007199254740993.0", "1e400", "١"];
  let state = 1;
  const next = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const characters = `${"0123456789".repeat(5)}.-e`;
  const random = Array.from({ length: 20_000 }, () =>
    Array.from({ length: 1 + next(19) }, () => characters[next(characters.length)]).join(""),
  );
  const decimals = random.map((text) => `${text.length % 2 ? "-" : ""}${next(1e5)}.${next(2 ** 31)}`);
  const wrong = [...texts, ...long, ...longer, ...random, ...decimals].filter(
    (text) => !Object.is(parseNumber(text), wanted(text)),
  );
  expect(wrong).toEqual([]);
});
