import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { FORMATS, loadData, loadImages, preprocessingOf } from "../../src/data/index.js";
import { FILES, folderOf, images, refusal } from "./support.js";

describe("what is found", () => {
  test("four IDX files, as loadImages reads them", async () => {
    const folder = folderOf(images());
    const [{ name, train, test }, pair] = await Promise.all([loadData(folder), loadImages(folder)]);
    expect([name, train.fingerprint(), test?.fingerprint()]).toEqual([
      "images",
      pair.train.fingerprint(),
      pair.test.fingerprint(),
    ]);
    const { mean, std } = pair.train;
    expect(preprocessingOf(train)).toEqual({
      kind: "image",
      channels: 1,
      height: 2,
      width: 2,
      mean: [mean],
      std: [std],
      classes: 3,
      classNames: null,
    });
  });

  test("IDX files before what else is there", async () => {
    const folder = folderOf({ ...images(), "train.csv": Uint8Array.of(1), "train.bin": Uint8Array.of(1) });
    expect((await loadData(folder)).train.length).toBe(4);
  });
});

describe("what is not", () => {
  test("a path", async () => {
    const path = join(folderOf({}), "none");
    expect(await refusal("NOT_FOUND", () => loadData(path))).toBe(
      `${path}: no such file or folder: expected fashion-mnist, mnist, kmnist, cifar-10, cifar-100, a folder, ` +
        `or ${FILES}`,
    );
  });

  test("a folder of other things", async () => {
    const folder = folderOf({ "b.txt": Uint8Array.of(1), "a.bin": Uint8Array.of(1) });
    const looked = FORMATS.flatMap((format) => format.folder ?? []).join("; ");
    expect(looked).toContain(
      "four IDX files (train-images-idx3-ubyte, ...); CIFAR's binary version (data_batch_1.bin, ",
    );
    expect(await refusal("NOT_FOUND", () => loadData(folder))).toBe(
      `${folder}: no data set found. Looked for ${looked}. It has "a.bin", "b.txt"`,
    );
  });

  test("CIFAR's version for Python", async () => {
    const folder = folderOf({ data_batch_1: Uint8Array.of(1), test_batch: Uint8Array.of(1) });
    expect(await refusal("NOT_FOUND", () => loadData(folder))).toMatch(/It has "data_batch_1", "test_batch"$/);
  });

  test("an empty folder, a file of another kind", async () => {
    const folder = folderOf({});
    expect(await refusal("NOT_FOUND", () => loadData(folder))).toMatch(/It has nothing$/);
    const file = join(folderOf({ "a.xlsx": Uint8Array.of(1) }), "a.xlsx");
    expect(await refusal("BAD_DATA", () => loadData(file))).toBe(`${file}: expected ${FILES}, or a folder`);
  });

  test("some of the IDX files", async () => {
    const { "t10k-labels-idx1-ubyte": _, ...rest } = images();
    const folder = folderOf(rest);
    expect(await refusal("NOT_FOUND", () => loadData(folder))).toBe(
      `${folder}: expected four IDX files, plain or .gz; missing: t10k-labels-idx1-ubyte`,
    );
  });

  test.each([[""], ["a\0b"], [1], [null], [undefined]])("the source %j", async (source) => {
    const text = await refusal("BAD_ARGUMENT", () => loadData(source as string));
    expect(text).toMatch(/^source: expected a data set's name, a file or a folder, got /);
  });

  test.each<[object, string]>([
    [{ testFraction: 1 }, "testFraction: expected a number from 0 to below 1, got 1"],
    [{ testFraction: -0.1 }, "testFraction: expected a number from 0 to below 1, got -0.1"],
    [{ splitSeed: 1.5 }, "splitSeed: expected a whole number of at least 0, got 1.5"],
    [{ header: 1 }, "header: expected true or false, got 1"],
    [{ missing: "median" }, 'missing: expected one of "error", "mean", "category", got "median"'],
    [{ labelColumn: 1.5 }, "labelColumn: expected the name of a column, or its index, got 1.5"],
    [{ standardise: false }, 'loadData: unknown option "standardise", did you mean standardize?'],
    [{ grey: "no", stream: 1 }, 'grey: expected true or false, got "no"; stream: expected true or false, got 1'],
    [{ grey: "no" }, 'grey: expected true or false, got "no"'],
  ])("the options %j", async (options, text) => {
    expect(await refusal("BAD_ARGUMENT", () => loadData(folderOf({}), options))).toBe(text);
  });
});
