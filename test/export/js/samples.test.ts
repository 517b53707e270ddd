import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { textEncoding } from "../../../src/data/text/encodings.js";
import {
  createNetwork,
  encodeSamples,
  exportJs,
  type JsModule,
  Linear,
  manualSeed,
  type Preprocessing,
  predict,
  Sequential,
  type TablePreprocessing,
  tensor,
} from "../../../src/index.js";
import { type Exported, exported } from "./support.js";

manualSeed(3);
const names = { classes: 3, classNames: ["ant", "bee", "</script>"] };
const network = (inputs: number, outputs = 3) => new Sequential(new Linear(inputs, outputs)).eval();

const GREY: Preprocessing = { kind: "image", channels: 1, height: 2, width: 3, mean: [0.286], std: [0.353], ...names };
const COLOUR: Preprocessing = {
  ...GREY,
  channels: 3,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
};
const TABLE: TablePreprocessing = {
  kind: "table",
  header: true,
  label: { name: "label", index: 4 },
  columns: [
    { name: "height", mean: 170.25, std: 12.5 },
    { name: "colour", categories: ["", "red", "it's `blue`"] },
    { name: "weight", mean: 70, std: 9, missing: "category" },
    { name: "price", mean: 1000, std: 250, missing: true, format: { decimal: ",", group: ".", unit: "€" } },
    { name: "constructor", categories: ["a", "b"] },
  ],
  ...names,
};
const FAR: Preprocessing = { kind: "values", features: 2, mean: [1, -2], std: [0.5, 1e-3], ...names };
const VALUES: Preprocessing = { kind: "values", features: 2, mean: [1, -2], std: [0.5, 3], ...names };

describe("samples become values as encodeSamples makes them, to the last bit", () => {
  test.each([
    ["grey", GREY, 6],
    ["colour", COLOUR, 18],
  ])("pixels, %s", (_, preprocessing, size) => {
    const { encode } = exported(network(size), { preprocessing });
    for (let first = 0; first < 256; first += 7) {
      const pixels = Uint8Array.from({ length: size }, (_, i) => (first + 31 * i) % 256);
      const expected = encodeSamples(preprocessing as Preprocessing, pixels).data;
      expect(encode(pixels)).toEqual(expected);
      expect(encode([...pixels])).toEqual(expected);
    }
  });

  test("an ImageData: grey is Pillow's, colours are planes", () => {
    const data = Uint8ClampedArray.from({ length: 24 }, (_, i) => (i % 4 === 3 ? 255 : (i * 29) % 256));
    const at = (channel: number) => Array.from({ length: 6 }, (_, i) => data[4 * i + channel] as number);
    const [r, g, b] = [at(0), at(1), at(2)];
    const grey = r.map((red, i) => (19595 * red + 38470 * (g[i] as number) + 7471 * (b[i] as number) + 32768) >> 16);
    const image = { data, width: 3, height: 2 };
    const [one, three] = [GREY, COLOUR].map((preprocessing, i) =>
      exported(network([6, 18][i] as number), { preprocessing }),
    );
    expect(one?.encode(image)).toEqual(one?.encode(grey));
    expect(three?.encode(image)).toEqual(three?.encode([...r, ...g, ...b]));
  });

  test.each([
    { height: 171.5, colour: "red", weight: 70.25, price: "1.234,5 €", constructor: "a" },
    { height: "155", colour: " red ", weight: "NA", price: "-12 €", constructor: "b" },
    { height: "155", colour: "red", weight: 70, price: "1,25e+03 €", constructor: "b" },
    { height: "1e2", colour: "", weight: -0.5, price: 12.5, constructor: "b", more: 1 },
    { height: ".5", colour: "?", price: "€0,5", constructor: "b" },
    { height: 1, colour: "it's `blue`", weight: "None", price: "", constructor: "a" },
  ])("a row: %j", (row) => {
    const { encode } = exported(network(9), { preprocessing: TABLE });
    expect(encode(row)).toEqual(encodeSamples(TABLE, [row as never]).data);
  });

  test("numbers", () => {
    const numbers = [0.1, 1e5];
    const { encode } = exported(network(2), { preprocessing: VALUES });
    expect(encode(numbers)).toEqual(encodeSamples(VALUES, Float64Array.from(numbers)).data);
    expect(exported(network(2)).encode(numbers)).toEqual(Float32Array.from(numbers));
  });
});

describe("what a module says is what predict says", () => {
  const sample = [0.25, -1];
  const spec = { kind: "values", features: 2 } as const;
  const said = (preprocessing: Preprocessing) => {
    const model = network(2);
    const inputs = encodeSamples(preprocessing as Preprocessing, Float64Array.from(sample));
    const { classNames } = preprocessing;
    const [expected] = predict<never>(model, inputs, { preprocessing, classNames });
    return { module: exported(model, { preprocessing }), expected: expected as Record<string, unknown> };
  };
  const close = (values: unknown) => (values as number[]).map((x) => expect.closeTo(x, 6));

  test("classes", () => {
    const { module, expected } = said({ ...spec, ...names });
    const { probability, probabilities } = expected;
    expect(module.classify(sample)).toEqual({
      ...expected,
      probability: expect.closeTo(probability as number, 6),
      probabilities: close(probabilities),
    });
  });

  test("several labels", () => {
    const { module, expected } = said({ ...spec, ...names, task: "multi-label" });
    expect(module.classify(sample)).toEqual({ ...expected, probabilities: close(expected.probabilities) });
  });

  test("a regression, in the unit of its columns", () => {
    const targets = { mean: [100, 0, -5], std: [20, 1, 3] };
    const { module, expected } = said({ ...spec, ...names, task: "regression", targets });
    expect(module.predict(sample)).toEqual({ values: (expected.values as number[]).map((x) => expect.closeTo(x, 4)) });
  });

  test("vectors", () => {
    const { module, expected } = said({ ...spec, classes: 3, classNames: null, task: "vectors" });
    expect([...module.embed(sample)]).toEqual(close(expected.values));
  });
});

describe("bad input: one clear error", () => {
  const of = (preprocessing: Preprocessing | null, inputs: number) => exported(network(inputs), { preprocessing });
  const row = { height: 1, colour: "red", price: 2, constructor: "a" };
  test.each([
    ["too few pixels", of(GREY, 6), new Uint8Array(5), "SHAPE_MISMATCH", "pixels: expected 6 (1 x 2 x 3), got 5"],
    [
      "no byte",
      of(GREY, 6),
      [0, 0, 0.5, 0, 0, 0],
      "BAD_ARGUMENT",
      "pixels[2]: expected a whole number from 0 to 255, got 0.5",
    ],
    [
      "no pixels",
      of(GREY, 6),
      "abc",
      "BAD_DTYPE",
      "image: expected a Uint8Array of pixels, a list of them, or an ImageData",
    ],
    ["nothing", of(GREY, 6), undefined, "BAD_DTYPE", "image: expected"],
    ...[Float32Array, Float64Array, Uint16Array, Array].map((Data): [string, Exported, unknown, string, string] => [
      `an ImageData of ${Data.name}`,
      of(GREY, 6),
      { data: new Data(24).fill(0), width: 3, height: 2 },
      "BAD_DTYPE",
      "image: expected a Uint8Array of pixels, a list of them, or an ImageData of bytes",
    ]),
    [
      "another size",
      of(GREY, 6),
      { data: new Uint8ClampedArray(16), width: 2, height: 2 },
      "SHAPE_MISMATCH",
      "image: expected 3 x 2 pixels, got 2 x 2",
    ],
    ["no row", of(TABLE, 9), null, "BAD_DTYPE", "row: expected cells by the names of columns"],
    ["a list", of(TABLE, 9), [1, 2], "BAD_DTYPE", "row: expected cells by the names of columns"],
    [
      "no column",
      of(TABLE, 9),
      { ...row, height: undefined },
      "BAD_ARGUMENT",
      'row, "height": expected a number, got nothing',
    ],
    [
      "a name that is written wrongly",
      of(TABLE, 9),
      { height: 1, colour: "red", weigth: 70, price: 2, constructor: "a" },
      "BAD_ARGUMENT",
      'row, "weight": expected a cell, got nothing: the row has "weigth", which is no column',
    ],
    [
      "a name that is written wrongly of a column that needs a cell",
      of(TABLE, 9),
      { ...row, height: undefined, Height: 1 },
      "BAD_ARGUMENT",
      'row, "height": expected a cell, got nothing: the row has "Height", which is no column',
    ],
    // A pattern that takes a step for each pair of digits needs half a minute.
    ...["height", "price"].map((name): [string, Exported, unknown, string, string] => [
      `many digits that are no number, ${name}`,
      of(TABLE, 9),
      { ...row, [name]: `${"1".repeat(100_000)}x` },
      "BAD_ARGUMENT",
      `row, "${name}": expected a number, got "111`,
    ]),
    [
      "a method of objects",
      of(TABLE, 9),
      { height: 1, colour: "red", price: 2 },
      "BAD_ARGUMENT",
      'row, "constructor": expected one of "a", "b"; got nothing',
    ],
    [
      "an unknown category",
      of(TABLE, 9),
      { ...row, colour: "pink" },
      "BAD_ARGUMENT",
      'row, "colour": expected one of "", "red", ',
    ],
    [
      "no number",
      of(TABLE, 9),
      { ...row, height: "0x10" },
      "BAD_ARGUMENT",
      'row, "height": expected a number, got "0x10"',
    ],
    [
      "another format",
      of(TABLE, 9),
      { ...row, price: "1,234.5 €" },
      "BAD_ARGUMENT",
      'row, "price": expected a number, got "1,234.5 €"',
    ],
    [
      "an object",
      of(TABLE, 9),
      { ...row, height: {} },
      "BAD_ARGUMENT",
      'row, "height": expected a text or a number, got object',
    ],
    [
      "beyond single precision",
      of(TABLE, 9),
      { ...row, height: 1e300 },
      "BAD_ARGUMENT",
      'row, "height": "1e+300" is too far from',
    ],
    ["too many numbers", of(null, 2), [1, 2, 3], "SHAPE_MISMATCH", "numbers: expected 2, got 3"],
    ["NaN", of(null, 2), [1, Number.NaN], "BAD_ARGUMENT", "numbers[1]: expected a finite number, got NaN"],
    ["too far", of(FAR, 2), [1, -1e38], "BAD_ARGUMENT", "numbers[1]: -1e+38 is too far from the mean of -2"],
    ["a text", of(null, 2), "12", "BAD_DTYPE", "numbers: expected a list of numbers"],
  ] as const)("%s", (_, { classify }, input, code, start) => {
    const failing = () => classify(input);
    expect(failing).toThrow(start);
    expect(failing).toThrow(expect.objectContaining({ code, name: "TypeError" }));
  });

  test("outputs that overflow", () => {
    const model = network(2);
    model.parameters()[0]?.data.fill(3e38);
    expect(() => exported(model).classify([3e38, 3e38])).toThrow(expect.objectContaining({ code: "NON_FINITE" }));
    const [weight, bias] = model.parameters();
    weight.data.fill(0).set([-1, -1]);
    bias.data.fill(0);
    expect(exported(model).classify([3e38, 3e38])).toEqual(predict(model, tensor([[3e38, 3e38]]))[0]);
    const values: Preprocessing = { kind: "values", features: 2, task: "regression", classes: 3, classNames: null };
    const { predict: ask } = exported(model, { preprocessing: values });
    expect(() => ask([3e38, 3e38])).toThrow(expect.objectContaining({ code: "NON_FINITE" }));
  });
});

test("types: a row's columns, the input of each function", () => {
  const { types } = exportJs(network(9), { preprocessing: TABLE });
  expect(types).toContain(`export interface Row {
  "height": number | string;
  "colour"?: "" | "red" | "it's \`blue\`" | null | undefined;
  "weight"?: number | string | null | undefined;
  "price"?: number | string | null | undefined;
  "constructor": "a" | "b";
}`);
  expect(types).toContain("export function classify(input: Row): Prediction;");
  const codes = { ...TABLE, columns: [{ name: "zip", categories: ["2", "-0.5", "07", "x"] }] } as TablePreprocessing;
  expect(exportJs(network(4), { preprocessing: codes }).types).toContain(
    '"zip": "2" | 2 | "-0.5" | -0.5 | "07" | "x";',
  );
  const { encode } = exported(network(4), { preprocessing: codes });
  expect(encode({ zip: -0.5 })).toEqual(Float32Array.of(0, 1, 0, 0));
});

test.each([
  [{ quantize: "int4" }, 'quantize: expected "int8" or "float16", got "int4", did you mean int8?'],
  [{ quantise: "int8" }, 'options: unknown option "quantise", did you mean quantize?'],
  [{ preprocessing: 1 }, "preprocessing: expected"],
  [{ features: 0 }, "features: expected"],
])("a wrong option: %j", (options, message) => {
  expect(() => exportJs(network(2), options as never)).toThrow(message);
});

test.each(["wordpiece", "bpe", "unigram", "wordlevel"])("a text becomes the ids of the tokenizer %s", (name) => {
  const file = fileURLToPath(new URL(`../../data/fixtures/tokenizer/${name}.json`, import.meta.url));
  const spec: TablePreprocessing = {
    kind: "table",
    header: true,
    label: { name: "label", index: 1 },
    ...names,
    columns: [{ name: "says", text: textEncoding(`tokenizer(file=${JSON.stringify(file)}, length=12)`) }],
  };
  const model = createNetwork("text_transformer(layers=1, dim=8, buckets=400)", { shape: [12], classes: 3 }).eval();
  const module = exported(model, { preprocessing: spec });
  for (const says of [
    "",
    "the quick brown fox",
    "Größe, naïve 🎲 漢字",
    "play chess with cards and dice over the network, too",
    "play chess ".repeat(15_000),
  ]) {
    const inputs = encodeSamples(spec, [{ says }]);
    expect(module.encode(says), says).toEqual(inputs.data);
    expect([...module.logits(says)]).toEqual([...model.forward(inputs).data].map((x) => expect.closeTo(x, 5)));
  }
});

test("unknown words side by side are as many ids", () => {
  const file = fileURLToPath(new URL("../../data/fixtures/tokenizer/unigram.json", import.meta.url));
  const { tokenizer, ...rest } = textEncoding(`tokenizer(file=${JSON.stringify(file)}, length=8)`) as {
    kind: "tokenizer";
    length: number;
    tokenizer: string;
  };
  const words = { type: "Split", pattern: { Regex: "\\S+" }, behavior: "Removed", invert: true };
  const text = { ...rest, tokenizer: JSON.stringify({ ...JSON.parse(tokenizer), pre_tokenizer: words }) };
  const label = { name: "label", index: 1 };
  const spec: TablePreprocessing = { kind: "table", header: true, label, columns: [{ name: "says", text }], ...names };
  const module = exported(createNetwork("text_bag(buckets=400)", { shape: [8], classes: 3 }).eval(), {
    preprocessing: spec,
  });
  const ids = [1, 4, 4, 3, 0, 0, 0, 0];
  expect([...module.encode("漢 字字")]).toEqual(ids);
  expect([...encodeSamples(spec, [{ says: "漢 字字" }]).data]).toEqual(ids);
});

describe("texts", () => {
  const text = { kind: "hash", buckets: 50, words: 2, characters: [3, 4], signed: true, length: 24 } as const;
  const label = { name: "label", index: 1 };
  const TEXT: TablePreprocessing = { kind: "table", header: true, label, columns: [{ name: "says", text }], ...names };
  const model = createNetwork("text_bag(buckets=50, dim=8)", { shape: [24], classes: 3 }).eval();
  const TEXTS = [
    "Hello, World!",
    "",
    "  ",
    "naïve Ünïcode NFC é é",
    "日本語 テキスト",
    "👩‍👩‍👧 \ud83d ☃",
    "a ".repeat(500),
  ];

  test.each(TEXTS)("%j becomes the ids of encodeSamples, and logits are ours", (says) => {
    const module = exported(model, { preprocessing: TEXT });
    const inputs = encodeSamples(TEXT, [{ says }]);
    expect(module.encode({ says })).toEqual(inputs.data);
    expect(module.encode(says)).toEqual(inputs.data);
    expect([...module.logits(says)]).toEqual([...model.forward(inputs).data].map((x) => expect.closeTo(x, 5)));
  });

  test.each([5, null, undefined, ["words"]])("%j is no text", (input) => {
    const { classify } = exported(model, { preprocessing: TEXT });
    const expected = { code: "BAD_DTYPE", message: "text: expected a text, or cells by the names of columns" };
    expect(() => classify(input)).toThrow(expect.objectContaining(expected));
  });

  test("among other columns; null is an empty text, a row without its text is refused", () => {
    const columns = [{ name: "a", mean: 1, std: 2 }, ...TEXT.columns, { name: "b", categories: ["x", "y"] }];
    const preprocessing = { ...TEXT, columns };
    const module = exported(network(27), { preprocessing });
    const row = { a: 3, says: "some words", b: "y" };
    expect(module.encode(row)).toEqual(encodeSamples(preprocessing, [row]).data);
    expect(module.encode({ ...row, says: null })).toEqual(encodeSamples(preprocessing, [{ ...row, says: "" }]).data);
    expect(() => module.encode({ a: 3, b: "y" })).toThrow('row, "says": expected a text, got nothing');
    expect(() => module.encode("some words")).toThrow("row: expected cells by the names of columns");
  });

  test("in 8 bits the table of rows is a quarter, too", () => {
    const [whole, rounded] = [{}, { quantize: "int8" } as const].map((options) =>
      exportJs(createNetwork("text_bag(buckets=5000, dim=8)", { shape: [24], classes: 3 }), {
        preprocessing: { ...TEXT, columns: [{ name: "says", text: { ...text, buckets: 5000 } }] },
        ...options,
      }),
    );
    expect((rounded as JsModule).code.length / whole.code.length).toBeLessThan(0.42);
    expect(whole?.types).toContain("export function classify(input: Row | string): Prediction;");
  });
});

test.each<[string, number, Preprocessing, string]>([
  [
    "of other values",
    4,
    { ...VALUES, features: 8, mean: Array(8).fill(0), std: Array(8).fill(1) },
    "gives 8 values a sample, and the network takes 4",
  ],
  ["of other classes", 2, { ...VALUES, classes: 2, classNames: ["a", "b"] }, "is of 2 outputs, and the network has 3"],
])("a preprocessing %s is refused", (_, inputs, preprocessing, text) => {
  expect(() => exportJs(network(inputs), { preprocessing, features: inputs })).toThrow(`preprocessing: ${text}`);
});

test("features that are no numbers are refused", () => {
  for (const features of [true, {}, "4", [[2]]]) {
    expect(() => exportJs(network(4), { features } as never), String(features)).toThrow(/^features: expected/);
  }
});
