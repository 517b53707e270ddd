import { appendFileSync, rmSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  augment,
  type Batch,
  DataLoader,
  type Dataset,
  ImageDataset,
  labelsOf,
  loadImages,
  openStreamed,
  Subset,
  splitDataset,
  TensorDataset,
} from "../../src/data/index.js";
import { blockShuffle } from "../../src/data/loader.js";
import { FileRecords } from "../../src/data/row_source.js";
import { indexRange } from "../../src/data/take_batch.js";
import { manualSeed, randperm } from "../../src/tensor/random.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { folderOf, idx, images, measureChannels, refusal } from "./support.js";

afterEach(() => vi.restoreAllMocks());

/** A `.npy` file of version 1. */
function npy(descr: string, shape: readonly number[], data: Uint8Array, order = "False"): Uint8Array {
  const dictionary = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${shape.join(", ")},), }`;
  const text = `${dictionary.padEnd(117)}\n`;
  return Uint8Array.from([0x93, ...Buffer.from("NUMPY"), 1, 0, text.length, 0, ...Buffer.from(text), ...data]);
}
/** What an order in chunks looks at. */
const inChunks = (length: number, chunk: number) => ({ length, chunk }) as Dataset;
const bytesOf = (array: Float32Array | BigInt64Array) => new Uint8Array(array.buffer);
const noise = (length: number) => Uint8Array.from({ length }, (_, i) => (i * i * 13 + 7 * i) % 256);

interface Pair {
  streamed: Dataset;
  inMemory: Dataset;
}

/** 23 rows of each format in chunks of five, and the same in memory. */
const PAIRS: Record<string, () => Promise<Pair>> = {
  async IDX() {
    const folder = folderOf({
      ...images(),
      "train-images-idx3-ubyte": idx([23, 2, 3], noise(138)),
      "train-labels-idx1-ubyte": idx(
        [23],
        Array.from({ length: 23 }, (_, i) => i % 3),
      ),
      "t10k-images-idx3-ubyte": idx([2, 2, 3], noise(12)),
    });
    const [inputs, labels] = [join(folder, "train-images-idx3-ubyte"), join(folder, "train-labels-idx1-ubyte")];
    const streamed = await openStreamed({ inputs, labels }, { chunkBytes: 30 });
    return { streamed, inMemory: (await loadImages(folder)).train };
  },
  async "CIFAR-10, in two files"() {
    const rows = noise(23 * 3073).map((x, i) => (i % 3073 === 0 ? x % 10 : x));
    const folder = folderOf({ "1.bin": rows.subarray(0, 7 * 3073), "2.bin": rows.subarray(7 * 3073) });
    const files = ["1.bin", "2.bin"].map((name) => join(folder, name));
    const normalisation = { mean: [0.49, 0.48, 0.45], std: [0.25, 0.24, 0.26] };
    const streamed = await openStreamed({ format: "cifar-10", files }, { chunkBytes: 5 * 3073, ...normalisation });
    const labels = Int32Array.from({ length: 23 }, (_, i) => rows[i * 3073] as number);
    const pixels = rows.filter((_, i) => i % 3073 !== 0);
    const image = { channels: 3, height: 32, width: 32 };
    return { streamed, inMemory: new ImageDataset(pixels, labels, { image, classes: 10, ...normalisation }) };
  },
  async "CIFAR-100, measured"() {
    const rows = noise(23 * 3074).map((x, i) => (i % 3074 < 2 ? x % 100 : x));
    const files = [join(folderOf({ "train.bin": rows }), "train.bin")];
    const streamed = await openStreamed({ format: "cifar-100", files }, { chunkBytes: 5 * 3074 });
    const labels = Int32Array.from({ length: 23 }, (_, i) => rows[i * 3074 + 1] as number);
    const image = { channels: 3, height: 32, width: 32 };
    const pixels = rows.filter((_, i) => i % 3074 > 1);
    const normalisation = measureChannels(
      pixels,
      3,
      3072,
      labels.map((_, i) => i),
    );
    return { streamed, inMemory: new ImageDataset(pixels, labels, { image, classes: 100, ...normalisation }) };
  },
  async "bytes in .npy"() {
    const labels = npy("<i8", [23], bytesOf(BigInt64Array.from({ length: 23 }, (_, i) => BigInt(i % 4))));
    const folder = folderOf({ "x.npy": npy("|u1", [23, 3, 2, 2], noise(276)), "y.npy": labels });
    const files = { inputs: join(folder, "x.npy"), labels: join(folder, "y.npy") };
    const streamed = await openStreamed(files, { chunkBytes: 69, mean: 0.5, std: 0.25 });
    const image = { channels: 3, height: 2, width: 2 };
    const classes = Int32Array.from({ length: 23 }, (_, i) => i % 4);
    return { streamed, inMemory: new ImageDataset(noise(276), classes, { image, mean: 0.5, std: 0.25 }) };
  },
  async "floats in .npy"() {
    const values = Float32Array.from({ length: 23 * 4 }, (_, i) => Math.fround(Math.sin(i)));
    const labels = npy(
      "|u1",
      [23],
      Uint8Array.from({ length: 23 }, (_, i) => i % 2),
    );
    const folder = folderOf({ "x.npy": npy("<f4", [23, 2, 2], bytesOf(values)), "y.npy": labels });
    const files = { inputs: join(folder, "x.npy"), labels: join(folder, "y.npy") };
    const classes = Int32Array.from({ length: 23 }, (_, i) => i % 2);
    return {
      streamed: await openStreamed(files, { chunkBytes: 80 }),
      inMemory: new TensorDataset(new Tensor(values, [23, 4]), classes),
    };
  },
};

const contentOf = ({ inputs, labels, indices }: Batch) => [inputs.shape, inputs.data, labels.data, indices];

describe.each(Object.entries(PAIRS))("%s", (_, open) => {
  test("gives the values of the data set in memory", async () => {
    const { streamed, inMemory } = await open();
    expect([streamed.length, streamed.features, streamed.classes]).toEqual([23, inMemory.features, inMemory.classes]);
    expect([streamed.chunk, streamed.image]).toEqual([5, inMemory.image]);
    expect(streamed.labels).toEqual(inMemory.labels);
    for (const [start, end] of [
      [0, 23],
      [3, 11],
      [5, 10],
      [22, 23],
      [4, 4],
    ] as const) {
      expect(contentOf(streamed.slice(start, end))).toEqual(contentOf(inMemory.slice(start, end)));
    }
    const mixed = Int32Array.from({ length: 40 }, (_, i) => (i * 7) % 23);
    expect(contentOf(streamed.batch(mixed))).toEqual(contentOf(inMemory.batch(mixed)));
  });
});

test("bytes without rows and columns are values in one channel", async () => {
  const y = npy("|u1", [4, 1], Uint8Array.of(0, 1, 1, 0));
  const folder = folderOf({ "x.npy": npy("|u1", [4, 3], noise(12)), "y.npy": y });
  const streamed = await openStreamed({ inputs: join(folder, "x.npy"), labels: join(folder, "y.npy") });
  expect([streamed.image, streamed.name, streamed.features, streamed.chunk]).toEqual([undefined, "x.npy", 3, 2796202]);
  const all = streamed.slice(0, 4).inputs.data;
  expect(all.reduce((a, b) => a + b)).toBeCloseTo(0, 5);
  expect(all.reduce((sum, x) => sum + x * x, 0) / 12).toBeCloseTo(1, 5);
});

describe("memory", () => {
  const CHUNK = 2 ** 14;
  /** 100 chunks of 16 kB: sixteen times what may be heldOut and more. */
  async function large() {
    const rows = 25_600;
    const folder = folderOf({
      images: idx([rows, 8, 8], noise(rows * 64)),
      labels: idx(
        [rows],
        Array.from({ length: rows }, (_, i) => i % 10),
      ),
    });
    return openStreamed({ inputs: join(folder, "images"), labels: join(folder, "labels") }, { chunkBytes: CHUNK });
  }

  test("holds four chunks at most, and reads each once in a shuffled epoch", async () => {
    const streamed = await large();
    expect([streamed.chunk, streamed.heldBytes]).toEqual([256, 0]);
    const read = vi.spyOn(FileRecords.prototype, "read");
    const seen = new Uint8Array(streamed.length);
    let most = 0;
    // Not a divisor of the chunk: batches go over borders.
    for (const { indices } of new DataLoader(streamed, { batchSize: 100, shuffle: true })) {
      for (const index of indices) seen[index] = (seen[index] as number) + 1;
      most = Math.max(most, streamed.heldBytes);
    }
    expect(most).toBe(4 * CHUNK);
    expect(read).toHaveBeenCalledTimes(100);
    expect(seen.every((count) => count === 1)).toBe(true);
  });

  const split = (dataset: Dataset) => splitDataset(dataset, { fraction: 0.1 });
  test.each<[string, number, (streamed: Dataset) => Dataset]>([
    ["what is trained on", 100, (streamed) => split(streamed).train],
    ["what is heldOut out", 100, (streamed) => split(streamed).heldOut],
    ["what is left of two splits", 100, (streamed) => split(split(streamed).train).train],
    ["what the second of them holds out", 100, (streamed) => split(split(streamed).train).heldOut],
    ["a part that is augmented", 100, (streamed) => augment(split(streamed).train, { flip: 0.5 })],
    ["a part of what is augmented", 100, (streamed) => split(augment(streamed, { flip: 0.5 })).train],
    ["the first rows", 2, (streamed) => new Subset(streamed, indexRange(0, 300))],
    ["rows in any order", 100, (streamed) => new Subset(streamed, randperm(25_600).data.slice(0, 9000))],
    [
      "rows that repeat",
      50,
      (streamed) =>
        new Subset(
          streamed,
          indexRange(0, 25_600).map((i) => (i * 977) % 12_800),
        ),
    ],
  ])("a shuffled epoch of %s reads each chunk once", async (_, chunks, partOf) => {
    const streamed = await large();
    const part = partOf(streamed);
    expect(part.chunk).toBe(256);
    const read = vi.spyOn(FileRecords.prototype, "read");
    const [seen, labels] = [new Uint8Array(part.length), labelsOf(part)];
    for (const batch of new DataLoader(part, { batchSize: 64, shuffle: true })) {
      expect(streamed.heldBytes).toBeLessThanOrEqual(4 * CHUNK);
      for (const index of batch.indices) seen[index] = (seen[index] as number) + 1;
      expect(batch.labels.data).toEqual(batch.indices.map((index) => labels[index] as number));
    }
    expect(seen.every((count) => count === 1)).toBe(true);
    const starts = read.mock.calls.map(([start]) => start);
    expect(new Set(starts).size).toBe(starts.length);
    expect(starts.length).toBe(chunks);
  });

  test("so does a look at a part in its order", async () => {
    const { train } = splitDataset(await large(), { fraction: 0.1 });
    const read = vi.spyOn(FileRecords.prototype, "read");
    for (const _ of new DataLoader(train, { batchSize: 512 }));
    expect(read).toHaveBeenCalledTimes(100);
  });

  test("any order is right, and reads a chunk once a batch", async () => {
    const streamed = await large();
    const order = Int32Array.from({ length: 600 }, (_, i) => (i * 977) % 25_600);
    const read = vi.spyOn(FileRecords.prototype, "read");
    const { labels } = streamed.batch(order);
    expect(labels.data).toEqual(order.map((index) => index % 10));
    expect(read.mock.calls.length).toBeLessThanOrEqual(100);
  });
});

describe("the order of a shuffled epoch", () => {
  test("is that of the loader of a streamed data set, drawn from the current stream, and can be taken up again", async () => {
    const { streamed } = await (PAIRS.IDX as () => Promise<Pair>)();
    const loader = new DataLoader(streamed, { batchSize: 4, shuffle: true, order: "randperm" });
    manualSeed(6);
    const expected = [blockShuffle(inChunks(23, 5)), blockShuffle(inChunks(23, 5))];
    manualSeed(6);
    const epochs = [loader.epoch(), loader.epoch()];
    expect(epochs.map(({ order }) => order)).toEqual(expected);
    const [first] = epochs as [(typeof epochs)[0]];
    const again = loader.epochFrom(first.order);
    expect([...again].map(contentOf)).toEqual([...first].map(contentOf));
  });

  test("stays randperm for every other, and their subsets", async () => {
    const { inMemory } = await (PAIRS.IDX as () => Promise<Pair>)();
    for (const dataset of [inMemory, new Subset(inMemory, indexRange(0, 23)), augment(inMemory, { flip: 0.5 })]) {
      manualSeed(6);
      const expected = randperm(23).data;
      manualSeed(6);
      expect(new DataLoader(dataset, { shuffle: true, order: "randperm" }).epoch().order).toEqual(expected);
    }
  });
});

test("the fingerprint is that of values, normalisation, labels and chunks", async () => {
  const build = async (last: number, options: object = {}, label = 0) => {
    const [x, y] = [npy("|u1", [3, 1, 1], Uint8Array.of(1, 2, last)), npy("|u1", [3], Uint8Array.of(0, 1, label))];
    const folder = folderOf({ "x.npy": x, "y.npy": y });
    return (
      await openStreamed({ inputs: join(folder, "x.npy"), labels: join(folder, "y.npy") }, options)
    ).fingerprint();
  };
  const usual = { mean: 0.5, std: 1 };
  const made = [build(3, usual), build(4, usual), build(3), build(3, usual, 1), build(3, { ...usual, chunkBytes: 1 })];
  const marks = await Promise.all(made);
  expect(new Set(marks).size).toBe(5);
  expect(await build(3, usual)).toBe(marks[0]);
});

describe("a file that changes", () => {
  async function opened() {
    const folder = folderOf({ x: idx([4, 1, 1], [1, 2, 3, 4]), y: idx([4], [0, 1, 0, 1]) });
    const file = join(folder, "x");
    return { file, streamed: await openStreamed({ inputs: file, labels: join(folder, "y") }, { chunkBytes: 1 }) };
  }

  test.each<[string, (file: string) => void]>([
    ["grows", (file) => appendFileSync(file, "x")],
    ["is written again", (file) => utimesSync(file, 1, 1)],
  ])("and %s", async (_, change) => {
    const { file, streamed } = await opened();
    expect(streamed.slice(0, 1).inputs.size).toBe(1);
    change(file);
    expect(await refusal("BAD_DATA", () => streamed.slice(1, 2))).toBe(`${file}: changed since it was opened`);
    // What is in memory stays right.
    expect(streamed.slice(0, 1).inputs.size).toBe(1);
  });

  test("goes away", async () => {
    const { file, streamed } = await opened();
    rmSync(file);
    expect(await refusal("NOT_FOUND", () => streamed.slice(1, 2))).toBe(`${file}: no such file`);
  });
});

describe("refused", () => {
  const labels = idx([2], [0, 1]);
  const pixels = Uint8Array.of(1, 2);
  const floats = (...values: number[]) => bytesOf(Float32Array.from(values));
  const open = (x: Uint8Array, y: Uint8Array = labels, options = {}) => {
    const folder = folderOf({ x, y });
    return {
      x: join(folder, "x"),
      y: join(folder, "y"),
      call: () => openStreamed({ inputs: join(folder, "x"), labels: join(folder, "y") }, options),
    };
  };
  test.each<[string, Uint8Array, Uint8Array, string]>([
    [
      "gzip",
      Uint8Array.of(0x1f, 0x8b, 8, 0),
      labels,
      "X: is gzipped: unpack it first, only uncompressed files can be streamed",
    ],
    ["a text", Buffer.from("1,2,3\n"), labels, "X: expected an IDX file or a .npy file: it begins with 312c322c"],
    ["an empty file", new Uint8Array(0), labels, "X: expected an IDX file or a .npy file: it is empty"],
    ["a cut IDX file", idx([2, 1, 2], [1, 2, 3]), labels, "X: truncated: claims 20 bytes, has 19"],
    ["a long IDX file", idx([2, 1, 1], [1, 2, 3]), labels, "X: claims 18 bytes, but 1 more follow at byte 18"],
    ["an IDX file of no rows", idx([0, 1, 1], []), labels, "X: byte 4: axis 0 has a length of 0"],
    [
      "an IDX file that claims what no disk holds",
      idx([2 ** 32 - 1, 2 ** 32 - 1, 1], [1]),
      labels,
      "X: truncated: claims 18446744065119617000 bytes, has 17",
    ],
    ["a cut .npy file", npy("<f4", [2, 2], floats(1, 2, 3)), labels, "X: truncated: claims 144 bytes, has 140"],
    [
      "a .npy file of another type",
      npy("<c8", [2, 1], new Uint8Array(16)),
      labels,
      'X: elements of type "<c8"; whole numbers, truth values and floats of 2, 4 and 8 bytes are read: astype("float32") makes one of numbers',
    ],
    [
      "a .npy file in columns",
      npy("<f4", [2, 1], floats(1, 2), "True"),
      labels,
      "X: is in Fortran order, which can't be streamed: save np.ascontiguousarray(x)",
    ],
    [
      "a .npy file of one axis",
      npy("<f4", [2], floats(1, 2)),
      labels,
      "X: expected [n, features] or more axes, got a shape of [2]",
    ],
    [
      "a float that is not finite",
      npy("<f4", [2, 2], floats(1, 2, 3, Number.NaN)),
      labels,
      "X: row 1, column 1: expected a finite number of float32's range, got NaN",
    ],
    ["labels of other rows", idx([2, 1, 1], pixels), idx([3], [0, 1, 0]), "Y: expected 2 labels, one a sample, got 3"],
    ["labels that are images", idx([2, 1, 1], pixels), idx([2, 1, 1], pixels), "Y: byte 3: expected 1 axes, got 3"],
    [
      "labels that are floats",
      idx([2, 1, 1], pixels),
      npy("<f4", [2], floats(0, 0.5)),
      "Y: label 1: expected a class, a whole number from 0, got 0.5: --task regression takes numbers as targets",
    ],
  ])("%s", async (_, x, y, problem) => {
    const opened = open(x, y);
    const text = problem.replace(/^X/, opened.x).replace(/^Y/, opened.y);
    expect(await refusal("BAD_DATA", opened.call)).toBe(text);
  });

  test("a label beyond the classes", async () => {
    const { y, call } = open(idx([2, 1, 1], pixels), labels, { classes: 1 });
    expect(await refusal("BAD_DATA", call)).toBe(`${y}: label 1: expected a class from 0 to 0, got 1`);
  });

  test("a class without a sample, unless the number of classes is given", async () => {
    const gap = idx([2], [0, 2]);
    const { y, call } = open(idx([2, 1, 1], pixels), gap);
    const text = "label 1: class 2, but class 1 has no sample: number them from 0 on, or give their number as classes";
    expect(await refusal("BAD_DATA", call)).toBe(`${y}: ${text}`);
    expect((await open(idx([2, 1, 1], pixels), gap, { classes: 4 }).call()).classes).toBe(4);
  });

  test("CIFAR's records", async () => {
    const record = new Uint8Array(3073).fill(10);
    const folder = folderOf({ good: new Uint8Array(3073), wrong: record, cut: new Uint8Array(3072) });
    const of = (...names: string[]) =>
      openStreamed({ format: "cifar-10", files: names.map((name) => join(folder, name)) });
    const [wrong, cut] = [join(folder, "wrong"), join(folder, "cut")];
    expect(await refusal("BAD_DATA", () => of("good", "wrong"))).toBe(
      `${wrong}: byte 0: expected a class from 0 to 9, got 10`,
    );
    expect(await refusal("BAD_DATA", () => of("cut"))).toBe(
      `${cut}: truncated: expected records of 3073 bytes, has 3072 bytes: the record at byte 0 has 3072`,
    );
  });

  const source = "source: expected inputs and labels, or a format (cifar-10, cifar-100) and files, got";
  const pair = { inputs: "x", labels: "y" };
  test.each<[string, () => unknown, string]>([
    ["BAD_ARGUMENT", () => openStreamed(null as never), `${source} null`],
    ["BAD_ARGUMENT", () => openStreamed("x.npy" as never), `${source} "x.npy"`],
    ["BAD_ARGUMENT", () => openStreamed({ format: "mnist", files: [] } as never), `${source} a value of type Object`],
    ["BAD_ARGUMENT", () => openStreamed({ inputs: "", labels: "y" }), 'inputs: expected the name of a file, got ""'],
    [
      "BAD_ARGUMENT",
      () => openStreamed({ inputs: "x" } as never),
      "labels: expected the name of a file, got undefined",
    ],
    [
      "BAD_ARGUMENT",
      () => openStreamed({ format: "cifar-10", files: [] }),
      "files: expected a list of paths, got an empty list",
    ],
    [
      "BAD_ARGUMENT",
      () => openStreamed({ format: "cifar-10", files: Array(2) as string[] }),
      "files[0]: expected the name of a file, got undefined",
    ],
    [
      "BAD_ARGUMENT",
      () => openStreamed({ ...pair, label: "x" } as never),
      'source: unknown option "label", did you mean labels?',
    ],
    [
      "BAD_ARGUMENT",
      () => openStreamed({ ...pair, format: "cifar-10", files: ["a"] } as never),
      'source: unknown option "format", expected one of inputs, labels',
    ],
    [
      "BAD_ARGUMENT",
      () => openStreamed({ format: "cifar-10", files: ["a"], chunkBytes: 1000 } as never),
      'source: unknown option "chunkBytes", expected one of format, files',
    ],
    [
      "BAD_ARGUMENT",
      () => openStreamed(pair, { chunkBytes: 0 }),
      "chunkBytes: expected a whole number from 1 to 1073741824, got 0",
    ],
    ["BAD_ARGUMENT", () => openStreamed(pair, { mean: 1 }), "mean, std: expected both or none, got one of them"],
    [
      "BAD_ARGUMENT",
      open(idx([2, 1, 1], pixels), labels, { mean: 0, std: 0 }).call,
      "std: expected a number above 0, got 0",
    ],
    [
      "BAD_ARGUMENT",
      open(npy("<f4", [2, 1], floats(1, 2)), labels, { mean: 0, std: 1 }).call,
      "mean, std: expected them for bytes only: the columns of numbers have their own",
    ],
    ["NOT_FOUND", () => openStreamed({ inputs: "/nowhere/x", labels: "y" }), "/nowhere/x: no such file"],
    ["IO_ERROR", () => openStreamed({ inputs: "/", labels: "y" }), "/: is not a regular file"],
  ])("%s %#", async (code, body, text) => {
    expect(await refusal(code, body)).toBe(text);
  });

  test("a subset of it that names rows that it lacks", async () => {
    const { streamed } = await (PAIRS.IDX as () => Promise<Pair>)();
    expect(await refusal("BAD_ARGUMENT", () => new Subset(streamed, Int32Array.of(23)))).toBe(
      "indices[0]: expected a whole number from 0 to 22, got 23",
    );
  });
});
