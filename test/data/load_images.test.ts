import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { labelsOf, loadData, loadImages, preprocessingOf } from "../../src/data/index.js";
import { FILES, folderOf, idx, images, refusal } from "./support.js";

/** The pixels of {@link images} for training: their mean and standard deviation, by hand. */
const training = [0, 0, 0, 1, 0.2, 0.2, 0.2, 0.2, 0, 0.4, 0, 0.4, 1, 1, 1, 1];
const MEAN = 6.6 / 16;
const STD = Math.sqrt(training.reduce((sum, x) => sum + (x - MEAN) ** 2, 0) / 16);

function renamed(to: (name: string) => string, bytes: (plain: Uint8Array) => Uint8Array = (b) => b) {
  return Object.fromEntries(Object.entries(images()).map(([name, plain]) => [to(name), bytes(plain)]));
}

describe("a folder with four files", () => {
  test.each<[string, Record<string, Uint8Array>]>([
    ["plain", images()],
    ["gzipped", renamed((name) => `${name}.gz`, gzipSync)],
    ["gzipped without saying so", renamed((name) => name, gzipSync)],
    ["with a dot in the names", renamed((name) => name.replace("-idx", ".idx"))],
    ["with a dot in the names, gzipped", renamed((name) => `${name.replace("-idx", ".idx")}.gz`, gzipSync)],
  ])("%s", async (_, files) => {
    const folder = folderOf(files, "images");
    const { name, train, test } = await loadImages(folder);
    expect([name, train.name, test.name]).toEqual(["images", "images", "images"]);
    expect([train.length, test.length, train.features, train.classes, test.classes]).toEqual([4, 2, 4, 3, 3]);
    for (const { mean, std } of [train, test]) {
      expect(mean).toBeCloseTo(MEAN, 12);
      expect(std).toBeCloseTo(STD, 12);
    }
    const { inputs, labels } = train.slice(0, 4);
    for (const [i, x] of training.entries()) expect(inputs.data[i]).toBeCloseTo((x - MEAN) / STD, 6);
    expect(labels.toArray()).toEqual([2, 0, 1, 0]);
    const tested = test.slice(0, 2);
    const expected = [1, 0, 0, 0, 0, 0.2, 0.4, 0.6].map((x) => (x - MEAN) / STD);
    for (const [i, x] of expected.entries()) expect(tested.inputs.data[i]).toBeCloseTo(x, 6);
    expect(tested.labels.toArray()).toEqual([1, 2]);
  });

  test("beside folders of the same names, as some archives unpack", async () => {
    const folder = folderOf(renamed((name) => name.replace("-idx", ".idx")));
    mkdirSync(join(folder, "train-images-idx3-ubyte"));
    expect((await loadImages(folder)).train.length).toBe(4);
  });

  test("all pixels equal", async () => {
    const grey = { "train-images-idx3-ubyte": idx([4, 2, 2], new Uint8Array(16).fill(51)) };
    const { train } = await loadImages(folderOf({ ...images(), ...grey }));
    expect([train.mean, train.std]).toEqual([0.2, 1]);
    for (const x of train.slice(0, 4).inputs.data) expect(x).toBeCloseTo(0, 7);
  });

  test("classes above 9", async () => {
    const all = Array.from({ length: 47 }, (_, label) => label);
    const many = {
      "train-images-idx3-ubyte": idx([47, 2, 2], new Uint8Array(188)),
      "train-labels-idx1-ubyte": idx([47], all),
    };
    const { train, test } = await loadImages(folderOf({ ...images(), ...many }));
    expect([train.classes, test.classes]).toEqual([47, 47]);
  });

  test("classes from 1 on, as EMNIST's letters", async () => {
    const labels = { "train-labels-idx1-ubyte": idx([4], [1, 2, 3, 1]), "t10k-labels-idx1-ubyte": idx([2], [3, 2]) };
    const { train, test } = await loadImages(folderOf({ ...images(), ...labels }));
    expect([train.classes, [...labelsOf(train)], [...labelsOf(test)]]).toEqual([4, [1, 2, 3, 1], [3, 2]]);
  });

  test("classes that a network knows, of which only some have a sample", async () => {
    const preprocessing = preprocessingOf((await loadImages(folderOf(images()))).train);
    const labels = { "train-labels-idx1-ubyte": idx([4], [2, 2, 1, 1]) };
    const { train } = await loadData(folderOf({ ...images(), ...labels }), { preprocessing });
    expect([train.classes, ...labelsOf(train)]).toEqual([3, 2, 2, 1, 1]);
  });
});

describe("files that do not fit together", () => {
  test.each<[string, string, Uint8Array, (folder: string) => string]>([
    [
      "fewer labels than images",
      "train-labels-idx1-ubyte",
      idx([3], [0, 1, 2]),
      (folder) => `expected 4 labels, one an image of ${join(folder, "train-images-idx3-ubyte")}, got 3`,
    ],
    [
      "more labels than images",
      "t10k-labels-idx1-ubyte",
      idx([3], [0, 1, 2]),
      (folder) => `expected 2 labels, one an image of ${join(folder, "t10k-images-idx3-ubyte")}, got 3`,
    ],
    [
      "images of another size",
      "t10k-images-idx3-ubyte",
      idx([2, 1, 4], [1, 2, 3, 4, 5, 6, 7, 8]),
      () => "expected images of 1 x 2 x 2, as for training, got images of 1 x 1 x 4",
    ],
    [
      "a class above the training set's",
      "t10k-labels-idx1-ubyte",
      idx([2], [0, 3]),
      () => "label 1: class 3 is not in the training set",
    ],
    [
      "a class between the training set's",
      "train-labels-idx1-ubyte",
      idx([4], [2, 0, 2, 0]),
      () => "label 0: class 1 is not in the training set",
    ],
    [
      "a stray label",
      "train-labels-idx1-ubyte",
      idx([4], [2, 0, 255, 1]),
      () => "label 2: class 255, but class 3 has no sample: number the classes without a gap, or correct the label",
    ],
    ["labels for images", "train-images-idx3-ubyte", idx([4], [1, 2, 3, 4]), () => "byte 3: expected 3 axes, got 1"],
    ["a cut file", "train-images-idx3-ubyte", idx([4, 2, 2], [1, 2]), () => "truncated: claims 32 bytes, has 18"],
    ["an empty file", "t10k-labels-idx1-ubyte", new Uint8Array(0), () => "truncated: expected an IDX file"],
  ])("%s", async (what, file, bytes, problem) => {
    const folder = folderOf({ ...images(), [file]: bytes });
    const blamed = what === "a class between the training set's" ? "t10k-labels-idx1-ubyte" : file;
    const text = `${join(folder, blamed)}: ${problem(folder)}`;
    expect((await refusal("BAD_DATA", () => loadImages(folder))).slice(0, text.length)).toBe(text);
  });
});

test("for a network that knows the classes any of them will do", async () => {
  const image = { kind: "image", channels: 1, height: 2, width: 2, mean: [0], std: [1] } as const;
  const preprocessing = { ...image, classes: 5, classNames: null };
  const few = { "train-labels-idx1-ubyte": idx([4], [2, 2, 0, 2]), "t10k-labels-idx1-ubyte": idx([2], [4, 1]) };
  const { test: held } = await loadData(folderOf({ ...images(), ...few }), { preprocessing });
  expect(held && [...labelsOf(held)]).toEqual([4, 1]);
});

describe("what is not there", () => {
  test("files that are missing are all named", async () => {
    const { "train-images-idx3-ubyte": _, "t10k-labels-idx1-ubyte": __, ...rest } = images();
    const folder = folderOf(rest);
    expect(await refusal("NOT_FOUND", () => loadImages(folder))).toBe(
      `${folder}: expected four IDX files, plain or .gz; missing: train-images-idx3-ubyte, t10k-labels-idx1-ubyte`,
    );
  });

  test("a folder, or a file in its place", async () => {
    const folder = folderOf(images());
    writeFileSync(join(folder, "file"), "");
    const none = join(folder, "none");
    expect(await refusal("NOT_FOUND", () => loadImages(none))).toBe(
      `${none}: no such file or folder: expected fashion-mnist, mnist, kmnist, cifar-10, cifar-100, a folder, or ${FILES}`,
    );
    const file = join(folder, "file");
    expect(await refusal("BAD_DATA", () => loadImages(file))).toBe(`${file}: expected ${FILES}, or a folder`);
  });

  test("a link to a folder in a file's place", async () => {
    const { "t10k-labels-idx1-ubyte": _, ...rest } = images();
    const folder = folderOf(rest);
    const link = join(folder, "t10k-labels-idx1-ubyte");
    symlinkSync(folder, link, "junction");
    expect(await refusal("IO_ERROR", () => loadImages(folder))).toBe(`${link}: is a folder, not a file`);
  });

  test("an object's own property is no data set", async () => {
    expect(await refusal("NOT_FOUND", () => loadImages("constructor"))).toMatch(/^constructor: no such file or folder/);
  });

  test.each([[""], ["a\0b"], [1], [null], [undefined]])("the source %j", async (source) => {
    const text = await refusal("BAD_ARGUMENT", () => loadImages(source as string));
    expect(text).toMatch(/^source: expected a data set's name, a file or a folder, got /);
  });
});
