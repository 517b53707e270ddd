import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ImageDataset, loadData, preprocessingOf } from "../../../src/data/index.js";
import { folderOf, refusal } from "../support.js";

/** A pixel of image `i` that tells its image, channel and place. */
const pixel = (i: number, at: number) => (i * 31 + at * 7 + Math.floor(at / 1024) * 50) % 256;
const record = (i: number, ...labels: number[]) => [
  ...labels,
  ...Array.from({ length: 3072 }, (_, at) => pixel(i, at)),
];
const file = (...records: number[][]) => Uint8Array.from(records.flat());

/** Two images a batch, of the classes 0 to 9, and three for testing. */
const ten = (): Record<string, Uint8Array> => ({
  ...Object.fromEntries(
    [1, 2, 3, 4, 5].map((batch) => {
      const first = 2 * batch - 2;
      return [`data_batch_${batch}.bin`, file(record(first, first), record(first + 1, first + 1))];
    }),
  ),
  "test_batch.bin": file(record(90, 3), record(91, 0), record(92, 9)),
});
const names = "airplane automobile bird cat deer dog frog horse ship truck".split(" ");
const hundred = (): Record<string, Uint8Array> => ({
  "train.bin": file(record(0, 4, 0), record(1, 19, 99)),
  "test.bin": file(record(2, 4, 99)),
});

const pixelsOf = (...images: number[]) => images.flatMap((i) => Array.from({ length: 3072 }, (_, at) => pixel(i, at)));

describe("CIFAR-10", () => {
  test("six files and the names of the classes", async () => {
    const text = Buffer.from(`${names.join("\n")}\n\n`);
    const { name, train, test } = await loadData(folderOf({ ...ten(), "batches.meta.txt": text }, "images"));
    expect([name, train.length, test?.length, train.features, train.classes]).toEqual(["images", 10, 3, 3072, 10]);
    expect(Array.from((train as ImageDataset).pixels)).toEqual(pixelsOf(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
    expect(Array.from((test as ImageDataset).pixels)).toEqual(pixelsOf(90, 91, 92));
    expect(train.labels?.toArray()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(test?.labels?.toArray()).toEqual([3, 0, 9]);
    expect([train.classNames, test?.classNames]).toEqual([names, names]);
  });

  test("the normalisation is the training set's own, by channel", async () => {
    const { train, test } = await loadData(folderOf(ten()));
    const layout = train.image as NonNullable<typeof train.image>;
    expect([layout.channels, layout.height, layout.width]).toEqual([3, 32, 32]);
    for (const channel of [0, 1, 2]) {
      const own = Array.from({ length: 10 }, (_, i) => pixelsOf(i).slice(channel * 1024, (channel + 1) * 1024)).flat();
      const mean = own.reduce((a, b) => a + b / 255, 0) / own.length;
      const std = Math.sqrt(own.reduce((a, b) => a + (b / 255 - mean) ** 2, 0) / own.length);
      expect(layout.mean[channel]).toBeCloseTo(mean, 12);
      expect(layout.std[channel]).toBeCloseTo(std, 12);
      const value = test?.slice(1, 2).inputs.data[channel * 1024 + 5] as number;
      expect(value).toBeCloseTo((pixel(91, channel * 1024 + 5) / 255 - mean) / std, 5);
    }
    expect(test?.image).toEqual(layout);
    expect(train.classNames).toBeUndefined();
  });
});

test("CIFAR-100: the fine class", async () => {
  const text = Buffer.from(Array.from({ length: 100 }, (_, i) => `kind ${i}\n`).join(""));
  const { train, test } = await loadData(folderOf({ ...hundred(), "fine_label_names.txt": text }));
  expect([train.length, test?.length, train.classes, train.classNames?.[99]]).toEqual([2, 1, 100, "kind 99"]);
  expect(train.labels?.toArray()).toEqual([0, 99]);
  expect(Array.from((test as ImageDataset).pixels)).toEqual(pixelsOf(2));
});

describe("by name", () => {
  const { DISTILLERY_DATA: before } = process.env;
  beforeEach(() => {
    process.env.DISTILLERY_DATA = folderOf(ten());
  });
  afterEach(() => {
    if (before === undefined) delete process.env.DISTILLERY_DATA;
    else process.env.DISTILLERY_DATA = before;
  });

  test("the usual normalisation", async () => {
    const { name, train, test } = await loadData("cifar-10");
    expect([name, train.name, train.length, test?.length]).toEqual(["cifar-10", "cifar-10", 10, 3]);
    expect(preprocessingOf(train)).toEqual({
      kind: "image",
      channels: 3,
      height: 32,
      width: 32,
      classes: 10,
      classNames: null,
      mean: [0.4914, 0.4822, 0.4465],
      std: [0.247, 0.2435, 0.2616],
    });
    expect(pixel(0, 2049)).toBe(107);
    expect(train.slice(0, 1).inputs.data[2049]).toBe(
      Math.fround(Math.fround(Math.fround(107 / 255) - Math.fround(0.4465)) / Math.fround(0.2616)),
    );
  });
});

describe("refused", () => {
  test.each<[string, Record<string, Uint8Array>, string, string]>([
    [
      "a class above 9",
      { "data_batch_2.bin": file(record(2, 2), record(3, 10)) },
      "data_batch_2.bin",
      "byte 3073: expected a class from 0 to 9, got 10",
    ],
    [
      "a cut file",
      { "data_batch_5.bin": file(record(8, 8), record(9, 9)).subarray(0, -1) },
      "data_batch_5.bin",
      "truncated: expected records of 3073 bytes, has 6145 bytes: the record at byte 3073 has 3072",
    ],
    ["an empty file", { "test_batch.bin": new Uint8Array(0) }, "test_batch.bin", "truncated: it is empty"],
    [
      "a class that training lacks",
      { "data_batch_1.bin": file(record(0, 1)), "test_batch.bin": file(record(9, 1), record(9, 0)) },
      "test_batch.bin",
      "byte 3073: class 0 is not in the training set: " +
        "no network can learn what it has no sample of: add some there, or leave 1 out here",
    ],
    [
      "nine names",
      { "batches.meta.txt": Buffer.from(names.slice(1).join("\n")) },
      "batches.meta.txt",
      "expected 10 names, one a line, got 9",
    ],
    [
      "a name twice",
      { "batches.meta.txt": Buffer.from(`cat\ndog\ncat\n`) },
      "batches.meta.txt",
      'line 3: expected a name, each once, got "cat"',
    ],
    [
      "a blank line",
      { "batches.meta.txt": Buffer.from(`cat\n\ncow\n`) },
      "batches.meta.txt",
      'line 2: expected a name, each once, got ""',
    ],
    [
      "no text",
      { "batches.meta.txt": Uint8Array.of(0xff, 0xfe, 0x41) },
      "batches.meta.txt",
      "line 1: not text in UTF-8: set encoding (--encoding), such as latin1",
    ],
  ])("%s", async (_, changed, blamed, problem) => {
    const folder = folderOf({ ...ten(), ...changed });
    expect(await refusal("BAD_DATA", () => loadData(folder))).toBe(`${join(folder, blamed)}: ${problem}`);
  });

  test("every cut of a file", async () => {
    const whole = hundred()["test.bin"] as Uint8Array;
    for (const end of [0, 1, 2, 3, 1000, 3072, 3073]) {
      const folder = folderOf({ ...hundred(), "test.bin": whole.subarray(0, end) });
      expect(await refusal("BAD_DATA", () => loadData(folder))).toMatch(/test\.bin: truncated: /);
    }
  });

  test("the byte of CIFAR-100's fine class", async () => {
    const folder = folderOf({ ...hundred(), "train.bin": file(record(0, 4, 0), record(1, 200, 100)) });
    const problem = "byte 3075: expected a class from 0 to 99, got 100";
    expect(await refusal("BAD_DATA", () => loadData(folder))).toBe(`${join(folder, "train.bin")}: ${problem}`);
  });

  test.each([
    [[99, 5], "byte 3075: class 5 is not in the training set", 1],
    [[5, 5, 0, 7], "byte 1: class 5 is not in the training set, nor is one other", 3],
    [[99, 7, 5, 6], "byte 3075: class 7 is not in the training set, nor are 2 others", 3],
  ])("classes %j of CIFAR-100 of which training has 0 and 99", async (labels, problem, left) => {
    const folder = folderOf({ ...hundred(), "test.bin": file(...labels.map((label, i) => record(i, 0, label))) });
    const advice = `no network can learn what it has no sample of: add some there, or leave ${left} out here`;
    const text = `${join(folder, "test.bin")}: ${problem}: ${advice}`;
    expect(await refusal("BAD_DATA", () => loadData(folder))).toBe(text);
  });

  test("files that are missing are all named", async () => {
    const { "data_batch_3.bin": _, "test_batch.bin": __, ...rest } = ten();
    const folder = folderOf(rest);
    expect(await refusal("NOT_FOUND", () => loadData(folder))).toBe(
      `${folder}: expected the binary version of cifar-10; missing: data_batch_3.bin, test_batch.bin`,
    );
  });
});
