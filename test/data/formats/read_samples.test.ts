import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import {
  type ImagePreprocessing,
  loadData,
  type Preprocessing,
  preprocessingOf,
  readSamples,
  type TablePreprocessing,
} from "../../../src/data/index.js";
import { image, planes } from "../image_support.js";
import { npy } from "../numpy_support.js";
import { folderOf, idx, refusal } from "../support.js";

const raw = { mean: [0], std: [1], classes: 2, classNames: null } as const;
const grey: ImagePreprocessing = { kind: "image", channels: 1, height: 9, width: 13, ...raw };
const colour: ImagePreprocessing = { ...grey, channels: 3, mean: [0, 0, 0], std: [1, 1, 1] };
const text = (content: string) => Uint8Array.from(Buffer.from(content));
const bytes = (inputs: { data: Float32Array }) => Array.from(inputs.data, (x) => Math.round(255 * x));

function put(name: string, content: Uint8Array): string {
  return join(folderOf({ [name]: content }), name);
}

describe("images", () => {
  test("a image, as grey or colour, of its own size or another", async () => {
    const file = put("a.png", image("colour.png"));
    const { inputs, locations, labels } = await readSamples(file, colour);
    expect([inputs.shape, bytes(inputs), locations, labels]).toEqual([
      [1, 3, 9, 13],
      planes("colour.rgb"),
      [file],
      null,
    ]);
    expect(bytes((await readSamples(file, grey)).inputs)).toEqual(planes("colour.grey", 1));
    const large = put("b.PNG", image("large.png"));
    expect(bytes((await readSamples(large, { ...colour, height: 8, width: 8 })).inputs)).toEqual(
      planes("resized_8x8.rgb"),
    );
  });

  test("the normalisation is applied", async () => {
    const { inputs } = await readSamples(put("a.png", image("grey.png")), { ...grey, mean: [0.5], std: [0.25] });
    const pixel = (planes("grey.grey", 1)[0] as number) / 255;
    expect(inputs.data[0]).toBeCloseTo((pixel - 0.5) / 0.25, 5);
  });

  test("an IDX file, plain or gzipped, and a .npy file", async () => {
    const pixels = Array.from({ length: 2 * 117 }, (_, i) => i % 256);
    const plain = idx([2, 9, 13], pixels);
    for (const file of [
      put("i-ubyte", plain),
      put("i.gz", gzipSync(plain)),
      put("i.npy", npy([2, 9, 13], Uint8Array.from(pixels))),
    ]) {
      const { inputs, locations } = await readSamples(file, grey);
      expect([inputs.shape, bytes(inputs), locations]).toEqual([[2, 1, 9, 13], pixels, [`${file}, 0`, `${file}, 1`]]);
    }
  });

  test.each<[string, Uint8Array, ImagePreprocessing, string]>([
    ["a.jpg", image("full.jpg").subarray(0, 99), colour, "truncated: it ends before its last marker, EOI"],
    ["i", idx([1, 2, 2], [1, 2, 3, 4]), grey, "expected images of 1 x 9 x 13, got 1 x 2 x 2"],
    ["i.npy", npy([1, 2, 2], new Uint8Array(4)), grey, "expected images of 1 x 9 x 13, got 1 x 2 x 2"],
    ["i.npy", npy([1, 117], new Float32Array(117)), grey, "expected images of 1 x 9 x 13 in bytes, got numbers"],
    [
      "i",
      idx([1, 9, 13], new Uint8Array(117)),
      colour,
      "the network takes images of 3 x 9 x 13: expected a .npy file or a PNG, JPEG, WebP, BMP or GIF image",
    ],
    [
      "rows.csv",
      text("a,b\n1,2\n"),
      grey,
      "the network takes images of 1 x 9 x 13: expected an IDX file of images or a .npy file or a PNG, JPEG, WebP, BMP or GIF image",
    ],
    ["a.tif", text("II*\0ab"), grey, "not an IDX file: byte 0: expected 0000, got 4949"],
  ])("refused: %s", async (name, content, description, problem) => {
    const file = put(name, content);
    expect(await refusal("BAD_DATA", () => readSamples(file, description))).toBe(`${file}: ${problem}`);
  });
});

describe("rows of a table", () => {
  const CSV = "a,colour,kind\n1,red,2\n3,blue,10\n8,red,2\n";
  const described = async (csv = CSV) => {
    const { train } = await loadData(put("t.csv", text(csv)), { testFraction: 0 });
    return { train, description: preprocessingOf(train) as TablePreprocessing };
  };

  test("with the label, the same bits as in training", async () => {
    const { train, description } = await described();
    const file = put("n.csv", text(CSV));
    const { inputs, locations, labels } = await readSamples(file, description);
    expect(inputs).toEqual(train.slice(0, 3).inputs);
    expect(locations).toEqual([2, 3, 4].map((line) => `${file}, line ${line}`));
    expect(labels).toEqual(Int32Array.of(0, 1, 0));
  });

  test("without the label, in another order, among other columns", async () => {
    const { train, description } = await described();
    const { inputs, labels } = await readSamples(put("n.csv", text("colour,id,a\nblue,7,3\n\nred,7,1")), description);
    expect(inputs).toEqual(train.batch(Int32Array.of(1, 0)).inputs);
    expect(labels).toBeNull();
  });

  test("labels that are no class", async () => {
    const { description } = await described();
    const { labels } = await readSamples(
      put("n.csv", text("a,colour,kind\n1,red,2.0\n1,red,?\n1,red,\n1,red,3\n")),
      description,
    );
    expect(labels).toEqual(Int32Array.of(0, -1, -1, -1));
  });

  test("without a header, with and without the label", async () => {
    const { train, description } = await described("2,1\n10,3\n2,8\n");
    expect(description.label).toEqual({ name: "1", index: 1 });
    for (const [csv, labels] of [
      ["10,3\n2,1\n", Int32Array.of(1, 0)],
      ["10\n2\n", null],
    ] as const) {
      const read = await readSamples(put("n.csv", text(csv)), description);
      expect(read.inputs).toEqual(train.batch(Int32Array.of(1, 0)).inputs);
      expect(read.labels).toEqual(labels);
    }
  });

  test.each<[string, string]>([
    ["", "truncated: it has no rows"],
    ["a,colour\n", "truncated: it has no rows"],
    ["a\n1\n", 'line 1: no column is called "colour", as one of the training file'],
    ["a,colour\n1,red\n1\n", "line 3: expected 2 cells, got 1"],
    ["a,colour\n1,red\n1,green\n", 'line 3, "colour": expected one of "blue", "red", got "green"'],
    ["a,colour\n,red\n", 'line 2, "a": is empty'],
    ["a,colour\nx,red\n", 'line 2, "a": expected a number, got "x"'],
  ])("refused: %j", async (csv, problem) => {
    const file = put("n.csv", text(csv));
    const { description } = await described();
    expect(await refusal("BAD_DATA", () => readSamples(file, description))).toBe(`${file}: ${problem}`);
  });
});

describe("values", () => {
  const description = { kind: "values", features: 2, classes: 2, classNames: null } as const;

  test("a .npy file", async () => {
    const { inputs } = await readSamples(put("v.npy", npy([2, 2], Float64Array.of(1, 2, 3, 4))), description);
    expect(inputs.toArray()).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  test.each<[string, Uint8Array, string]>([
    ["v.npy", npy([1, 3], new Float32Array(3)), "expected 2 values a sample, got 3"],
    ["v.npy", npy([1, 2, 2], new Uint8Array(4)), "expected numbers, got bytes"],
    ["v.csv", text("1,2"), "the network takes 2 numbers a sample: expected a .npy file"],
  ])("refused: %s", async (name, content, problem) => {
    const file = put(name, content);
    expect(await refusal("BAD_DATA", () => readSamples(file, description))).toBe(`${file}: ${problem}`);
  });
});

test("new samples are not read without a preprocessing, which is said", async () => {
  for (const none of [undefined, null, {}, { kind: "rows" }]) {
    expect(await refusal("BAD_ARGUMENT", () => readSamples("new.csv", none as unknown as Preprocessing))).toMatch(
      /^preprocessing: expected what readPreprocessing\(file\) gives or, if that is null, preprocessingOf\(train\)/,
    );
  }
});
