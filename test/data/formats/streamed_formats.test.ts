import { rmSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { detectFormat, FORMATS } from "../../../src/data/formats/index.js";
import { TextRecords } from "../../../src/data/formats/text_records.js";
import {
  type Dataset,
  type LoadDataOptions,
  labelsOf,
  loadData,
  preprocessingOf,
  StreamedDataset,
  Subset,
} from "../../../src/data/index.js";
import { openSliced } from "../../../src/files/index.js";
import { image } from "../image_support.js";
import { npy } from "../numpy_support.js";
import { folderOf, idx, images, refusal } from "../support.js";

beforeEach(() => {
  vi.stubEnv("DISTILLERY_DATA", "");
  vi.stubEnv("DISTILLERY_CACHE", folderOf({}, "cache"));
});
afterEach(() => vi.unstubAllEnvs());

const noise = (length: number) => Uint8Array.from({ length }, (_, i) => (i * i * 13 + 7 * i) % 256);
const classes = (length: number, of: number) => Int32Array.from({ length }, (_, i) => (i * 7) % of);
const floats = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i));

/** Records of CIFAR-10's classes from `first` on. */
const records = (first: number, count: number) =>
  noise(count * 3073).map((x, at) => (at % 3073 === 0 ? (first + at / 3073) % 10 : x));
const cifar = (): Record<string, Uint8Array> => ({
  ...Object.fromEntries([1, 2, 3, 4, 5].map((i) => [`data_batch_${i}.bin`, records(2 * i, 2)])),
  "test_batch.bin": records(7, 3),
  "batches.meta.txt": Buffer.from("plane car bird cat deer dog frog horse ship truck".replaceAll(" ", "\n")),
});
const cifar100 = (): Record<string, Uint8Array> => ({
  "train.bin": noise(4 * 3074).map((x, at) => (at % 3074 < 2 ? 7 : x)),
  "test.bin": noise(3074).map((x, at) => (at < 2 ? 7 : x)),
});
const clothes = () => ({
  ...images(),
  "train-images-idx3-ubyte": idx([20, 2, 2], noise(80)),
  "train-labels-idx1-ubyte": idx([20], classes(20, 10)),
});

/** A table of a number, a text and the label. */
const table = (rows: number, delimiter = ",", header = true) =>
  Buffer.from(
    [
      ...(header ? [["size", "colour", "kind"]] : []),
      ...Array.from({ length: rows }, (_, i) => [
        String((i * i) % 17),
        ["red", "blue", "green"][i % 3],
        `k${(i * 7) % 4}`,
      ]),
    ]
      .map((cells) => `${cells.join(delimiter)}\n`)
      .join(""),
  );
const [grey, oneBit, jpeg] = ["grey.png", "one_bit.png", "full.jpg"].map(image);

interface Source {
  files: Record<string, Uint8Array>;
  /** In the folder; default: the folder itself. */
  file?: string;
  options?: LoadDataOptions;
}

const SOURCES: Record<string, Source> = {
  "four IDX files": { files: images() },
  "IDX files with gzipped labels": {
    files: { ...images(), "train-labels-idx1-ubyte": gzipSync(images()["train-labels-idx1-ubyte"]) },
  },
  "CIFAR-10": { files: cifar() },
  "CIFAR-100, without names": { files: cifar100() },
  "numbers in .npy with a test part": {
    files: {
      "x_train.npy": npy([9, 2, 3], floats(54)),
      "y_train.npy": npy([9], classes(9, 3)),
      "x_test.npy": npy([4, 2, 3], floats(24)),
      "y_test.npy": npy([4, 1], classes(4, 3)),
    },
  },
  "images in .npy with a test part": {
    files: {
      "train_images.npy": npy([9, 3, 2, 2], noise(108)),
      "train_labels.npy": npy([9], BigInt64Array.from(classes(9, 3), BigInt)),
      "test_images.npy": npy([4, 3, 2, 2], noise(48)),
      "test_labels.npy": npy([4], classes(4, 3)),
    },
  },
  "numbers in .npy with a validation part": {
    files: {
      "x_train.npy": npy([40, 3], floats(120)),
      "y_train.npy": npy([40], classes(40, 4)),
      "x_val.npy": npy([5, 3], floats(15)),
      "y_val.npy": npy([5], classes(5, 4)),
    },
  },
  "numbers in .npy": { files: { "x.npy": npy([40, 3], floats(120)), "y.npy": npy([40], classes(40, 4)) } },
  "images in .npy": { files: { "X.npy": npy([40, 2, 3], noise(240)), "y.npy": npy([40], classes(40, 4)) } },
  "images in .npy, split by another seed": {
    files: { "images.npy": npy([40, 3, 2, 2], noise(480)), "labels.npy": npy([40], classes(40, 4)) },
    options: { testFraction: 0.3, splitSeed: 5 },
  },
  "images in .npy, not split": {
    files: { "images.npy": npy([40, 2, 2, 1], noise(160)), "labels.npy": npy([40], classes(40, 4)) },
    options: { testFraction: 0 },
  },
  "a .npy file with labels beside it": {
    files: { "flowers.npy": npy([40, 3], floats(120)), "flowers_labels.npy": npy([40], classes(40, 4)) },
    file: "flowers.npy",
  },
  "a .npy file of a family": {
    files: {
      "x_train.npy": npy([9, 2, 3], floats(54)),
      "y_train.npy": npy([9], classes(9, 3)),
      "x_test.npy": npy([4, 2, 3], floats(24)),
      "y_test.npy": npy([4], classes(4, 3)),
    },
    file: "x_train.npy",
  },
  "numbers in double precision and whole ones in .npy": {
    files: { "x.npy": npy([40, 3], Float64Array.from(floats(120))), "y.npy": npy([40], classes(40, 4)) },
  },
  "whole numbers in .npy": {
    files: {
      "x.npy": npy(
        [40, 3],
        BigInt64Array.from({ length: 120 }, (_, i) => BigInt(i - 60)),
      ),
      "y.npy": npy([40], classes(40, 4)),
    },
  },
  "images in .npy with the channels last": {
    files: { "images.npy": npy([40, 2, 2, 3], noise(480)), "labels.npy": npy([40], classes(40, 4)) },
  },
  "a table": { files: { "t.csv": table(300) }, file: "t.csv", options: { labelColumn: "kind" } },
  "a table without a header": { files: { "t.tsv": table(40, "\t", false) }, file: "t.tsv" },
  "a table with a test part": { files: { "train.csv": table(60), "test.csv": table(30, ";") } },
  "a table of quoted cells and blank lines": {
    files: {
      "t.csv": Buffer.from(
        'a,"b",label\r\n1,"x, y",0\r\n\r\n2,"x\n""z""",1\r\n'.repeat(1) + '3,"x, y",0\n4,"x\n""z""",1\n'.repeat(9),
      ),
    },
    file: "t.csv",
  },
  "JSON lines": {
    files: {
      "t.jsonl": Buffer.from(Array.from({ length: 40 }, (_, i) => `{"a": ${i % 7}, "label": "k${i % 4}"}\n`).join("")),
    },
    file: "t.jsonl",
  },
  "images by class": {
    files: { "train/cat/1.png": grey, "train/cat/2.png": grey, "train/dog/1.jpg": jpeg, "test/dog/1.png": grey },
    options: { imageSize: [5, 4], grey: true },
  },
  "images by class, split": {
    files: Object.fromEntries(
      Array.from({ length: 70 }, (_, i) => [`c${i % 2}/${i}.png`, i % 3 === 0 ? grey : oneBit]),
    ),
    options: { testFraction: 0.3 },
  },
};

/** All that there is to a data set but where its values are. */
function contentOf(dataset: Dataset | null) {
  if (dataset === null) return null;
  const { name, length, features, image, classNames } = dataset;
  const { inputs } = dataset.slice(0, length);
  const about = { name, length, features, image, classNames, classes: dataset.classes };
  return { ...about, labels: labelsOf(dataset), inputs: inputs.data, described: preprocessingOf(dataset) };
}

test("there is a source of every format", async () => {
  const sources = Object.values(SOURCES).map(({ files, file = "" }) => join(folderOf(files), file));
  const found = await Promise.all(sources.map(async (source) => (await detectFormat(source)).format.name));
  expect(new Set(found)).toEqual(new Set(FORMATS.map(({ name }) => name)));
});

const baseOf = (dataset: Dataset | null) => (dataset instanceof Subset ? dataset.dataset : dataset);

describe("the data sets are those of loadData in memory", () => {
  test.each(Object.entries(SOURCES))("%s", async (_, { files, file = "", options }) => {
    const source = join(folderOf(files), file);
    const [streamed, inMemory] = [
      await loadData(source, { ...options, stream: true }),
      await loadData(source, options),
    ];
    expect(streamed.name).toBe(inMemory.name);
    expect(baseOf(streamed.train)).toBeInstanceOf(StreamedDataset);
    expect(contentOf(streamed.train)).toEqual(contentOf(inMemory.train));
    expect(contentOf(streamed.test)).toEqual(contentOf(inMemory.test));
    expect(contentOf(streamed.validation)).toEqual(contentOf(inMemory.validation));
    expect(inMemory.validation?.length).toBe("x_val.npy" in files ? 5 : undefined);
  });

  test.each([
    ["fashion-mnist", clothes()],
    ["cifar-10", cifar()],
  ])("%s by its name", async (name, files) => {
    vi.stubEnv("DISTILLERY_DATA", dirname(folderOf(files, name)));
    const [streamed, inMemory] = [await loadData(name, { stream: true }), await loadData(name)];
    expect(streamed.train).toBeInstanceOf(StreamedDataset);
    expect([streamed.name, streamed.train.classNames?.length]).toEqual([name, 10]);
    expect(contentOf(streamed.train)).toEqual(contentOf(inMemory.train));
    expect(contentOf(streamed.test)).toEqual(contentOf(inMemory.test));
  });

  test("a name that is nowhere", async () => {
    expect(await refusal("NOT_FOUND", () => loadData("cifar-100", { stream: true }))).toBe(
      await refusal("NOT_FOUND", () => loadData("cifar-100")),
    );
  });
});

test("pixels are normalised by those of the rows that are trained on", async () => {
  // Of four of a class one is set aside: the only one that is lit, at one of these places.
  const labels = npy([8], Int32Array.of(0, 0, 0, 0, 1, 1, 1, 1));
  const means: number[] = [];
  for (const lit of [0, 1, 2, 3]) {
    const pixels = Uint8Array.from({ length: 8 }, (_, i) => (i === lit ? 255 : 0));
    const folder = folderOf({ "x.npy": npy([8, 1, 1], pixels), "y.npy": labels });
    const { train, test } = await loadData(folder, { stream: true, testFraction: 0.25 });
    expect(test?.image).toEqual(train.image);
    means.push(train.image?.mean[0] as number);
  }
  expect(means.toSorted()).toEqual([0, 1 / 6, 1 / 6, 1 / 6]);
});

describe("errors are those of the reader in memory", () => {
  const x = npy([4, 2], floats(8));
  const y = npy([4], Int32Array.of(0, 1, 0, 1));
  const test2 = { "x_test.npy": npy([1, 2], floats(2)), "y_test.npy": npy([1], Int32Array.of(1)) };
  test.each<[string, Record<string, Uint8Array>, string]>([
    [
      "BAD_DATA",
      { ...images(), "t10k-labels-idx1-ubyte": idx([2], [1, 3]) },
      "t10k-labels-idx1-ubyte: label 1: class 3 is not in the training set",
    ],
    [
      "BAD_DATA",
      { ...cifar(), "data_batch_4.bin": records(0, 2) },
      "test_batch.bin: byte 3073: class 8 is not in the training set",
    ],
    ["NOT_FOUND", { "data_batch_1.bin": records(0, 1) }, "missing: data_batch_2.bin"],
    ["BAD_DATA", { ...cifar(), "batches.meta.txt": Buffer.from("a\n") }, "expected 10 names, one a line, got 1"],
    [
      "BAD_DATA",
      { "x_train.npy": x, "y_train.npy": y, ...test2, "y_test.npy": npy([1], Int32Array.of(2)) },
      "y_test.npy: label 0: class 2 is not in the training set",
    ],
    [
      "BAD_DATA",
      { "x_train.npy": x, "y_train.npy": y, ...test2, "x_test.npy": npy([1, 3], floats(3)) },
      "x_test.npy: expected 2 values a sample, as for training, got 3 values a sample",
    ],
    [
      "BAD_DATA",
      { "x_train.npy": x, "y_train.npy": y, ...test2, "x_test.npy": npy([1, 2, 1], noise(2)) },
      "x_test.npy: expected 2 values a sample, as for training, got images of 1 x 2 x 1",
    ],
    ["BAD_DATA", { "x_train.npy": x, "y_train.npy": y, "x_test.npy": x }, "y_test is missing beside x_test"],
    ["BAD_DATA", { "x_train.npy": x, "y_train.npy": y, "x_val.npy": x }, "y_val is missing beside x_val"],
    [
      "BAD_DATA",
      { "x_train.npy": x, "y_train.npy": y, "x_dev.npy": x, "y_dev.npy": y },
      'expected only train, val and test, found "x_dev" too: rename or remove it',
    ],
    [
      "BAD_DATA",
      {
        "x_train.npy": x,
        "y_train.npy": y,
        "x_valid.npy": npy([1, 3], floats(3)),
        "y_valid.npy": npy([1], Int32Array.of(0)),
      },
      "x_valid.npy: expected 2 values a sample, as for training, got 3 values a sample",
    ],
    [
      "BAD_DATA",
      { "x.npy": x, "y.npy": npy([4], Int32Array.of(0, 2, 0, 2)) },
      "label 1: class 2, but class 1 has no sample",
    ],
    ["BAD_DATA", { "x.npy": x, "y.npy": npy([3], Int32Array.of(0, 1, 0)) }, "expected 4 labels, one a sample, got 3"],
    [
      "BAD_DATA",
      { "x.npy": npy([2, 3], noise(6)), "y.npy": npy([2], Int32Array.of(0, 1)) },
      "got bytes of shape [2, 3]",
    ],
    [
      "BAD_DATA",
      { "x.npy": npy([2, 1], floats(2)), "y.npy": npy([2], Int32Array.of(0, 1)) },
      "no class has two samples",
    ],
    ["NOT_FOUND", { "a.txt": x }, "no data set found"],
  ])("%s %#", async (code, files, part) => {
    const folder = folderOf(files);
    const text = await refusal(code, () => loadData(folder, { stream: true }));
    expect(text).toContain(part);
    expect(text).toBe(await refusal(code, () => loadData(folder)));
  });

  test("a .npy file without labels, a path that is none", async () => {
    const folder = folderOf({ "flowers.npy": x });
    for (const file of [join(folder, "flowers.npy"), join(folder, "none")]) {
      expect(await refusal("NOT_FOUND", () => loadData(file, { stream: true }))).toBe(
        await refusal("NOT_FOUND", () => loadData(file)),
      );
    }
  });

  test("the option", async () => {
    expect(await refusal("BAD_ARGUMENT", () => loadData("mnist", { stream: 1 as never }))).toBe(
      "stream: expected true or false, got 1",
    );
  });
});

describe("what can only be read whole", () => {
  test("an archive", async () => {
    const source = join(folderOf({ "a.npz": Uint8Array.of(1) }), "a.npz");
    expect(await refusal("BAD_ARGUMENT", () => loadData(source, { stream: true }))).toBe(
      `stream: ${source} is an archive, which can't be read in pieces: \`unzip\` makes .npy files of a .npz`,
    );
  });

  test.each(["train", "t10k"])("gzipped IDX files of %s", async (part) => {
    const name = `${part}-images-idx3-ubyte`;
    const { [name]: plain, ...rest } = images() as Record<string, Uint8Array>;
    const folder = folderOf({ ...rest, [`${name}.gz`]: gzipSync(plain) });
    expect(await refusal("BAD_DATA", () => loadData(folder, { stream: true }))).toBe(
      `${join(folder, `${name}.gz`)}: is gzipped: unpack it first, only uncompressed files can be streamed`,
    );
  });
});

describe("what is too large to be read at once", () => {
  const most = "2147483648 bytes; at most 2147483647 can be read";
  const advice = "stream (--stream) leaves it on the disk";

  test.each<[string, Record<string, Uint8Array>]>([
    ["x.npy", { "x.npy": npy([2, 1], floats(2)), "y.npy": npy([2], Int32Array.of(0, 1)) }],
    ["train-images-idx3-ubyte", images()],
    ["test_batch.bin", cifar()],
  ])("%s can be streamed", async (name, files) => {
    const folder = folderOf(files);
    truncateSync(join(folder, name), 2 ** 31);
    expect(await refusal("IO_ERROR", () => loadData(folder))).toBe(`${join(folder, name)}: ${most}: ${advice}`);
  });

  test("so can a table", async () => {
    const file = join(folderOf({ "t.csv": Buffer.from(`a,label\n${"1,x\n".repeat(1000)}`) }), "t.csv");
    truncateSync(file, 2 ** 31);
    expect(await refusal("IO_ERROR", () => loadData(file))).toBe(`${file}: ${most}: ${advice}`);
  });

  test("a record is refused as such", async () => {
    const file = join(folderOf({ "t.csv": Buffer.from("a,b,label\n1,2,x\n") }), "t.csv");
    truncateSync(file, 2 ** 30);
    expect(await refusal("BAD_DATA", () => loadData(file, { stream: true }))).toBe(
      `${file}: line 3: a record has more than 268435456 bytes: does a quote or a line not end?`,
    );
  });
});

test("rows are read on request, from the file as it was opened", async () => {
  const folder = folderOf(images());
  const { train } = await loadData(folder, { stream: true });
  const file = join(folder, "train-images-idx3-ubyte");
  rmSync(file);
  expect(await refusal("NOT_FOUND", () => train.slice(0, 1))).toBe(`${file}: no such file`);
  writeFileSync(file, idx([1, 2, 2], [1, 2, 3, 4]));
  expect(await refusal("BAD_DATA", () => train.slice(0, 1))).toBe(`${file}: changed since it was opened`);
});

test("the rows of a table too, even of those that were read last", async () => {
  const file = join(folderOf({ "t.csv": table(40) }), "t.csv");
  const { train } = await loadData(file, { stream: true });
  writeFileSync(file, table(41));
  expect(await refusal("BAD_DATA", () => train.slice(0, 1))).toBe(`${file}: changed since it was opened`);
});

test("ranges of records that begin within what was read last, in it or before it", async () => {
  // Lines in three blocks of text.
  const file = join(
    folderOf({ "t.txt": Buffer.from(Array.from({ length: 100_000 }, (_, i) => `${i}\n`).join("")) }),
    "t.txt",
  );
  const records = new TextRecords(await openSliced(file), (text, line) => ({
    records: text
      .trimEnd()
      .split("\n")
      .map((value, i) => ({ value, line: line + i })),
    cut: null,
  }));
  await records.scan(() => {});
  for (const [start, end] of [
    [0, 9],
    [44_000, 48_000],
    [47_999, 48_010],
    [88_000, 92_000],
    [3, 4],
  ]) {
    const read: unknown[] = [];
    records.read(start, end, (value, line, number) => void read.push(`${value} ${line} ${number}`));
    expect(read).toEqual(Array.from({ length: end - start }, (_, i) => `${start + i} ${start + i + 1} ${start + i}`));
  }
});
