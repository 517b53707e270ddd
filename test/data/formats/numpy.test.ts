import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { decodeNpy, openNpz } from "../../../src/data/formats/npy.js";
import {
  type Dataset,
  encodeSamples,
  type ImageDataset,
  type LoadDataOptions,
  labelsOf,
  loadData,
  type Preprocessing,
  parsePreprocessing,
  preprocessingOf,
  readSamples,
  type ValuePreprocessing,
} from "../../../src/data/index.js";
import { fixture, npy } from "../numpy_support.js";
import { folderOf, refusal } from "../support.js";

/** Six samples of two values, three a class. */
const x = Float32Array.from({ length: 12 }, (_, i) => i / 2);
const y = Int32Array.of(0, 1, 0, 1, 0, 1);
const numbers = { "x.npy": npy([6, 2], x), "y.npy": npy([6], y) };
const WHOLE: LoadDataOptions = { testFraction: 0 };
const RAW = { ...WHOLE, standardize: false };

const load = (files: Record<string, Uint8Array>, file = "") => {
  const folder = folderOf(files, "arrays");
  return { folder, sets: (options = WHOLE) => loadData(join(folder, file), options) };
};

describe("an archive of NumPy", () => {
  test.each(["stored.npz", "compressed.npz"])("%s, with a test part", async (file) => {
    const { train, test, name } = await load({ [file]: fixture(file) }, file).sets();
    expect([name, train.length, test?.length, train.features, train.classes]).toEqual([file.slice(0, -4), 2, 2, 12, 2]);
    const pixels = Array.from({ length: 24 }, (_, i) => i * 10);
    expect(Array.from((train as ImageDataset).pixels)).toEqual(pixels);
    expect(Array.from((test as ImageDataset).pixels)).toEqual([...pixels.slice(12), ...pixels.slice(0, 12)]);
    expect(train.labels?.toArray()).toEqual([1, 0]);
    expect(test?.labels?.toArray()).toEqual([0, 1]);
    const { channels, height, width, mean } = train.image as NonNullable<typeof train.image>;
    expect([channels, height, width]).toEqual([1, 3, 4]);
    expect(mean[0]).toBeCloseTo(115 / 255, 12);
    expect(test?.image).toEqual(train.image);
  });

  test("colours, pixel by pixel, become planes; labels [n, 1]", async () => {
    const { train, test } = await load({ "c.npz": fixture("colours.npz") }, "c.npz").sets();
    const red = [0, 3, 6, 9];
    const image = (i: number) => [0, 1, 2].flatMap((channel) => red.map((at) => 12 * i + at + channel));
    expect(Array.from((train as ImageDataset).pixels)).toEqual([0, 1, 2, 3].flatMap(image));
    expect(train.labels?.toArray()).toEqual([0, 1, 1, 0]);
    expect(test).toBeNull();
    expect(train.image?.mean.map((mean) => mean * 255)).toEqual([22.5, 23.5, 24.5].map((m) => expect.closeTo(m, 9)));
  });

  test("without a test part, one of each class is set aside, and the numbers are those of the rest", async () => {
    const { train, test } = await load({ "c.npz": fixture("colours.npz") }, "c.npz").sets({ testFraction: 0.5 });
    expect([train.length, test?.length]).toEqual([2, 2]);
    expect([...labelsOf(train)].sort()).toEqual([0, 1]);
    expect([...labelsOf(test as Dataset)].sort()).toEqual([0, 1]);
    const { inputs } = train.slice(0, 2);
    const reds = [...inputs.data.subarray(0, 4), ...inputs.data.subarray(12, 16)];
    expect(reds.reduce((a, b) => a + b)).toBeCloseTo(0, 5);
  });

  test("objects are refused, unread arrays are not looked at", async () => {
    const { sets, folder } = load({ "o.npz": fixture("objects.npz") }, "o.npz");
    expect(await refusal("BAD_DATA", () => sets())).toBe(
      `${join(folder, "o.npz")}: x: elements of type "|O"; whole numbers, truth values and floats of 2, 4 and 8 bytes are read: ` +
        "np.unique(y, return_inverse=True) makes classes of texts and objects",
    );
    const { names, read } = await openNpz(fixture("objects.npz"), "x");
    expect([...names]).toEqual(["x", "y"]);
    expect((await read("y")).data).toEqual(Uint8Array.of(1, 0));
  });

  test("every cut and every flipped byte is refused, or the arrays are what they were", async () => {
    for (const file of ["stored.npz", "compressed.npz"]) {
      const bytes = fixture(file);
      const whole = await contents(bytes);
      for (let end = 0; end < bytes.length; end++) {
        expect(await refusal("BAD_DATA", () => contents(bytes.subarray(0, end)))).toMatch(/^x/);
      }
      for (let at = 0; at < bytes.length; at++) {
        const flipped = bytes.slice();
        flipped[at] = (flipped[at] as number) ^ 4;
        const read = await contents(flipped).catch((error) => void expect(error.code).toBe("BAD_DATA"));
        if (read !== undefined) for (const [name, array] of read) expect(whole.get(name) ?? array).toEqual(array);
      }
    }
  });
});

async function contents(bytes: Uint8Array) {
  const { names, read } = await openNpz(bytes, "x");
  const arrays = new Map<string, unknown>();
  for (const name of names) arrays.set(name, await read(name));
  return arrays;
}

describe("files of arrays", () => {
  test.each<[string, Record<string, Uint8Array>, string]>([
    ["x.npy and y.npy in a folder", numbers, ""],
    ["X.npy", { "X.npy": numbers["x.npy"], "y.npy": numbers["y.npy"] }, ""],
    ["a file with labels after its name", { "f.npy": numbers["x.npy"], "f_labels.npy": numbers["y.npy"] }, "f.npy"],
    ["a file with labels beside it", { "f.npy": numbers["x.npy"], "labels.npy": numbers["y.npy"] }, "f.npy"],
    ["a file with y beside it", { "f.npy": numbers["x.npy"], "y.npy": numbers["y.npy"] }, "f.npy"],
    [
      "doubles, labels as doubles",
      { "x.npy": npy([6, 2], Float64Array.from(x)), "y.npy": npy([6, 1], Float64Array.from(y)) },
      "",
    ],
    ["labels of 64 bits", { ...numbers, "y.npy": npy([6], BigInt64Array.from(y, BigInt)) }, ""],
    ["labels in bytes", { ...numbers, "y.npy": npy([6], Uint8Array.from(y)) }, ""],
  ])("%s", async (_, files, file) => {
    const { train, test } = await load(files, file).sets(RAW);
    expect([train.length, train.features, train.classes, test]).toEqual([6, 2, 2, null]);
    expect(Array.from(train.slice(0, 6).inputs.data)).toEqual(Array.from(x));
    expect(train.labels?.toArray()).toEqual(Array.from(y));
    expect([train.image, train.table, train.classNames]).toEqual([undefined, undefined, undefined]);
  });

  test("whole numbers are values", async () => {
    const { train } = await load({ ...numbers, "x.npy": npy([6, 1], Int32Array.of(1, -2, 3, 4, 5, 2 ** 24)) }).sets(
      RAW,
    );
    expect(Array.from(train.slice(0, 6).inputs.data)).toEqual([1, -2, 3, 4, 5, 2 ** 24]);
  });

  test("a family, by its folder and by any of its files", async () => {
    const tested = {
      "x_test.npy": npy([2, 2], Float32Array.of(7, 8, 9, 10)),
      "y_test.npy": npy([2], Int32Array.of(1, 0)),
    };
    const files = { "x_train.npy": numbers["x.npy"], "y_train.npy": numbers["y.npy"], ...tested };
    for (const file of ["", "x_train.npy", "y_test.npy"]) {
      const { train, test } = await load(files, file).sets(RAW);
      expect([train.length, test?.length]).toEqual([6, 2]);
      expect(test?.slice(0, 2).inputs.toArray()).toEqual([
        [7, 8],
        [9, 10],
      ]);
    }
  });

  test("planes of colours stay as they are", async () => {
    const pixels = Uint8Array.from({ length: 24 }, (_, i) => i);
    const { train } = await load({ "x.npy": npy([2, 3, 2, 2], pixels), "y.npy": npy([2], Int32Array.of(0, 1)) }).sets();
    expect((train as ImageDataset).pixels).toEqual(pixels);
    expect(train.image).toMatchObject({ channels: 3, height: 2, width: 2 });
  });
});

describe("the columns of a matrix", () => {
  const rows = Array.from({ length: 6 }, (_, i) => [1.7e9 + i * 0.25, 0.001 * ((i * i) % 5)]);
  const wide = Float64Array.from(rows.flat());
  const files = { "x.npy": npy([6, 2], wide), "y.npy": npy([6], y) };

  test("are standardised as those of a .csv with the same numbers, to the last bit", async () => {
    const csv = rows.map((cells, i) => `${cells.join(",")},${y[i]}\n`).join("");
    const table = await loadData(join(folderOf({ "t.csv": Buffer.from(csv) }), "t.csv"), { header: false });
    const { train, test } = await load(files).sets({});
    expect(train.slice(0, train.length).inputs).toEqual(table.train.slice(0, train.length).inputs);
    expect(test?.slice(0, 2).inputs).toEqual(table.test?.slice(0, 2).inputs);
    const numbers = table.train.table?.columns.map((column) => "mean" in column && [column.mean, column.std]);
    expect(numbers).toEqual(train.values?.mean.map((mean, c) => [mean, train.values?.std[c]]));
    expect(preprocessingOf(train)).toEqual({
      kind: "values",
      features: 2,
      classes: 2,
      classNames: null,
      ...train.values,
    });
  });

  test("so are test parts, streamed ones and new samples, by the training rows", async () => {
    const parts = { "x_train.npy": files["x.npy"], "y_train.npy": files["y.npy"] };
    const { folder, sets } = load({ ...parts, "x_test.npy": files["x.npy"], "y_test.npy": files["y.npy"] });
    const [{ train, test }, streamed] = [await sets(), await sets({ stream: true })];
    const expected = train.slice(0, 6).inputs;
    expect(expected.data.filter((_, i) => i % 2 === 0).reduce((sum, z) => sum + z)).toBeCloseTo(0, 5);
    for (const part of [test, streamed.train, streamed.test]) expect(part?.slice(0, 6).inputs).toEqual(expected);
    const spec = parsePreprocessing(JSON.parse(JSON.stringify(preprocessingOf(streamed.train))), "s");
    expect((await readSamples(join(folder, "x_test.npy"), spec)).inputs).toEqual(expected);
    expect(encodeSamples(spec as ValuePreprocessing, wide)).toEqual(expected);
  });

  test("not with standardize: false, nor those of more axes", async () => {
    for (const [shape, options] of [
      [[6, 2], RAW],
      [[6, 2, 1], WHOLE],
      [[6, 1, 2, 1], WHOLE],
    ] as const) {
      const { train } = await load({ ...numbers, "x.npy": npy(shape, x) }).sets(options);
      expect([Array.from(train.slice(0, 6).inputs.data), train.values]).toEqual([Array.from(x), undefined]);
      expect([train.length, train.features, train.image, train.table]).toEqual([6, 2, undefined, undefined]);
    }
    const images = load({ ...numbers, "x.npy": npy([6, 2, 1], x) });
    expect(await refusal("BAD_ARGUMENT", () => images.sets(RAW))).toMatch(
      /^standardize: is for columns of numbers, and .* has none: leave it out$/,
    );
  });

  test.each([
    ["mean", { mean: [1] }, "expected 2 numbers, one a column, got 1"],
    ["std", { mean: [1, 2] }, "expected 2 numbers, one a column, got 0"],
  ])("a stored %s of another length is refused", async (name, part, text) => {
    const spec = { kind: "values", features: 2, classes: 2, classNames: null, ...part };
    expect(await refusal("BAD_DATA", () => parsePreprocessing(spec, "s"))).toBe(
      `s: its preprocessing, ${name}: ${text}`,
    );
  });
});

describe("labels of NumPy's other types", () => {
  test("the target of a regression is not made classes", async () => {
    const target = Int32Array.from({ length: 100 }, (_, i) => 1000 + 37 * (i % 50));
    const { folder, sets } = load({ "x.npy": npy([100, 1], new Float32Array(100)), "y.npy": npy([100], target) });
    const { train } = await sets();
    expect([train.task, train.classes]).toEqual(["regression", 1]);
    const labelled = loadData(folder, { task: "classification" });
    expect(await refusal("BAD_DATA", () => labelled)).toBe(
      `${folder}/y.npy: label 49: class 2813, but class 0 has no sample: np.unique(y, return_inverse=True) numbers them from 0 on`,
    );
  });

  test.each<[string, Uint8Array]>([
    ["bools", npy([6], Uint8Array.of(0, 1, 0, 1, 1, 0), "|b1")],
    ["unsigned 64 bits", npy([6], BigUint64Array.from([0n, 1n, 0n, 1n, 1n, 0n]))],
    ["unsigned 16 bits", npy([6], Uint16Array.of(0, 1, 0, 1, 1, 0))],
    ["signed bytes", npy([6], Int8Array.of(0, 1, 0, 1, 1, 0))],
  ])("%s", async (_, labels) => {
    const { shape, data } = decodeNpy(labels, "y");
    const files = { "x.npy": npy([shape[0], 1], new Float32Array(shape[0])), "y.npy": labels };
    const { train } = await load(files).sets();
    expect([...labelsOf(train)]).toEqual(Array.from(data as Iterable<number | bigint>, Number));
  });

  test("texts: the message says what makes classes of them", async () => {
    const { folder, sets } = load({ ...numbers, "y.npy": fixture("texts.npy") });
    expect(await refusal("BAD_DATA", () => sets())).toBe(
      `${folder}/y.npy: elements of type "<U2"; whole numbers, truth values and floats of 2, 4 and 8 bytes are read: ` +
        "np.unique(y, return_inverse=True) makes classes of texts and objects",
    );
  });
});

describe("for a network that knows the classes", () => {
  const { "x.npy": values, "y.npy": labels } = numbers;
  const held = (...own: number[]) => ({
    "x_train.npy": values,
    "y_train.npy": labels,
    "x_test.npy": values,
    "y_test.npy": npy([6], Int32Array.from(own)),
  });
  const preprocessing: Preprocessing = { kind: "values", features: 2, classes: 4, classNames: null };

  test("any of them will do in any part", async () => {
    const { test } = await loadData(folderOf(held(3, 0, 2, 0, 0, 0)), { preprocessing });
    expect(test && [...labelsOf(test)]).toEqual([3, 0, 2, 0, 0, 0]);
  });

  test("one that it has not is refused", async () => {
    const folder = folderOf(held(0, 0, 4, 0, 0, 0));
    expect(await refusal("BAD_DATA", () => loadData(folder, { preprocessing }))).toBe(
      `${folder}: the network knows 4 classes, the data have 5`,
    );
  });
});

describe("refused", () => {
  const images = npy([6, 2, 2], new Uint8Array(24));
  test.each<[string, Record<string, Uint8Array>, string]>([
    [
      "fewer labels",
      { ...numbers, "y.npy": npy([5], y.subarray(1)) },
      "/y.npy: expected 6 labels, one a sample, got 5",
    ],
    [
      "one-hot labels",
      { ...numbers, "y.npy": npy([6, 2], new Uint8Array(12)) },
      "/y.npy: expected labels of shape [6], got [6, 2]: argmax(axis=1) makes classes of one-hot rows; --task multi-label takes them as labels",
    ],
    [
      "a negative label",
      { ...numbers, "y.npy": npy([6], Int32Array.of(0, 1, -1, 0, 1, 0)) },
      "/y.npy: label 2: expected a class, a whole number from 0, got -1: np.unique(y, return_inverse=True) numbers them from 0 on",
    ],
    [
      "half a label",
      { ...numbers, "y.npy": npy([6], Float32Array.of(0, 1, 0.5, 0, 1, 0)) },
      "/y.npy: label 2: expected a class, a whole number from 0, got 0.5: --task regression takes numbers as targets",
    ],
    [
      "a huge label",
      { ...numbers, "y.npy": npy([6], BigInt64Array.of(0n, 1n, 0n, 0n, 1n, 2n ** 60n)) },
      `/y.npy: label 5: expected a class, a whole number from 0, got ${2n ** 60n}: np.unique(y, return_inverse=True) numbers them from 0 on`,
    ],
    [
      "an empty class",
      { ...numbers, "y.npy": npy([6], Int32Array.of(0, 3, 0, 1, 1, 0)) },
      "/y.npy: label 1: class 3, but class 2 has no sample: np.unique(y, return_inverse=True) numbers them from 0 on",
    ],
    [
      "classes from 1",
      { ...numbers, "y.npy": npy([6], Int32Array.of(1, 2, 1, 2, 1, 2)) },
      "/y.npy: label 1: class 2, but class 0 has no sample: np.unique(y, return_inverse=True) numbers them from 0 on",
    ],
    [
      "one class",
      { ...numbers, "y.npy": npy([6], new Int32Array(6)) },
      "/y.npy: expected at least two classes, got one",
    ],
    [
      "NaN",
      {
        ...numbers,
        "x.npy": npy(
          [6, 2],
          x.map((v, i) => (i === 7 ? Number.NaN : v)),
        ),
      },
      "/x.npy: row 3, column 1: expected a finite number of float32's range, got NaN",
    ],
    [
      "what float32 has not",
      { ...numbers, "x.npy": npy([6, 2, 1], Float64Array.from(x).fill(1e39, 2, 3)) },
      "/x.npy: row 1, column 0: expected a finite number of float32's range, got 1e+39",
    ],
    [
      "large whole numbers",
      { ...numbers, "x.npy": npy([6, 1, 1], Int32Array.of(1, 2, 2 ** 24 + 1, 0, 0, 0)) },
      "/x.npy: row 2, column 0: 16777217 is too large: float32 has every whole number only up to 16777216",
    ],
    [
      "numbers too large to be standardised",
      { ...numbers, "x.npy": npy([6, 2], Float64Array.from(x).fill(1e200, 2, 3)) },
      ": column 0: its numbers are too large to be standardised",
    ],
    [
      "numbers of one axis",
      { ...numbers, "x.npy": npy([6], x.slice(0, 6)) },
      "/x.npy: expected [n, features] or more axes, got a shape of [6]",
    ],
    [
      "bytes of two axes",
      { ...numbers, "x.npy": npy([6, 4], new Uint8Array(24)) },
      '/x.npy: expected images [n, height, width], with 1 or 3 channels at the end or after n: reshape it, or astype("float32") if the bytes are no pixels; got bytes of shape [6, 4]',
    ],
    ["a cut file", { ...numbers, "x.npy": numbers["x.npy"].subarray(0, -1) }, "/x.npy: truncated: claims "],
    [
      "a test part of another size",
      {
        "x_train.npy": images,
        "y_train.npy": numbers["y.npy"],
        "x_test.npy": npy([6, 2, 3], new Uint8Array(36)),
        "y_test.npy": numbers["y.npy"],
      },
      "/x_test.npy: expected images of 1 x 2 x 2, as for training, got images of 1 x 2 x 3",
    ],
    [
      "a test part of another kind",
      {
        "x_train.npy": images,
        "y_train.npy": numbers["y.npy"],
        "x_test.npy": numbers["x.npy"],
        "y_test.npy": numbers["y.npy"],
      },
      "/x_test.npy: expected images of 1 x 2 x 2, as for training, got 2 values a sample",
    ],
    [
      "a test label that training lacks",
      {
        "x_train.npy": images,
        "y_train.npy": numbers["y.npy"],
        "x_test.npy": images,
        "y_test.npy": npy([6], Int32Array.of(0, 1, 2, 0, 0, 0)),
      },
      "/y_test.npy: label 2: class 2 is not in the training set",
    ],
    [
      "a test part without labels",
      { "x_train.npy": images, "y_train.npy": numbers["y.npy"], "x_test.npy": images },
      ": y_test is missing beside x_test",
    ],
  ])("%s", async (_, files, problem) => {
    const { folder, sets } = load(files);
    expect((await refusal("BAD_DATA", () => sets())).slice(0, folder.length + problem.length)).toBe(folder + problem);
  });

  test("a file without labels", async () => {
    const { folder, sets } = load({ "f.npy": numbers["x.npy"] }, "f.npy");
    expect(await refusal("NOT_FOUND", () => sets())).toBe(
      `${join(folder, "f.npy")}: expected its labels beside it, in one of f_labels.npy, labels.npy, y.npy`,
    );
  });

  test("an archive of other names", async () => {
    const { zipStored } = await import("../../../src/checkpoint/zip_writer.js");
    const { folder, sets } = load({ "a.npz": zipStored([{ name: "a.npy", data: numbers["x.npy"] }]) }, "a.npz");
    expect(await refusal("BAD_DATA", () => sets())).toBe(
      `${join(folder, "a.npz")}: expected arrays called x_train and y_train; X_train and y_train; train_images and ` +
        'train_labels; x and y; X and y; images and labels; data and labels; data and target; it has "a"',
    );
  });

  test.each([
    [100, "inflates to more than the 100 bytes it claims"],
    [10 ** 8, "claims 100000000 bytes, more than its 16320 can hold"],
  ])("a bomb in an archive that claims %d bytes", async (claim, problem) => {
    const { deflateRawSync, crc32 } = await import("node:zlib");
    const { zipStored } = await import("../../../src/checkpoint/zip_writer.js");
    const packed = deflateRawSync(new Uint8Array(2 ** 24));
    const bytes = Buffer.from(zipStored([{ name: "x.npy", data: packed }]));
    for (const [head, at] of [
      ["PK\x03\x04", 8],
      ["PK\x01\x02", 10],
    ] as const) {
      const start = bytes.indexOf(head, 0, "latin1") + at;
      bytes.writeUInt16LE(8, start);
      bytes.writeUInt32LE(crc32(new Uint8Array(100)), start + 6);
      bytes.writeUInt32LE(claim, start + 14);
    }
    const { read } = await openNpz(Uint8Array.from(bytes), "x");
    expect((await refusal("BAD_DATA", () => read("x"))).replace(`${packed.length} can`, "16320 can")).toBe(
      `x: entry "x.npy" ${problem}`,
    );
  });

  test("an archive that inflates to more than the memory that is free", async () => {
    const free = vi.spyOn(process, "availableMemory").mockReturnValue(100);
    const { folder, sets } = load({ "c.npz": fixture("compressed.npz") }, "c.npz");
    expect(await refusal("BAD_DATA", () => sets())).toMatch(
      `${join(folder, "c.npz")}: entry "x_train.npy" inflates to 0.2 kB, which takes 0.5 kB to read, and 0.1 kB are free: ` +
        "`unzip` makes .npy files of it, which stream (--stream) leaves on the disk",
    );
    free.mockReturnValue(1e9);
    expect((await sets()).train.length).toBe(2);
  });

  test("Python's own pickles", async () => {
    expect(await refusal("BAD_DATA", () => decodeNpy(Uint8Array.of(0x80, 4, 0x95, 1, 0, 0, 0), "x"))).toBe(
      "x: not a .npy file: byte 0: expected 934e554d5059, got 800495010000",
    );
  });
});

test("names are read in any case, and the test part of Train.npy is Test.npy beside it", async () => {
  const usual = await load({
    "X_Train.npy": npy([6, 2], x),
    "Y_train.npy": npy([6], y),
    "X_VAL.npy": npy([6, 2], x),
    "y_val.npy": npy([6], y),
  }).sets();
  expect([usual.train.length, usual.validation?.length, usual.test]).toEqual([6, 6, null]);
  const parts = ["Train", "Test", "Validation"].flatMap((part): [string, Uint8Array][] => [
    [`${part}.npy`, npy([6, 2], x)],
    [`${part}_labels.npy`, npy([6], y)],
  ]);
  const beside = await load(Object.fromEntries(parts), "Train.npy").sets();
  expect([beside.train.length, beside.validation?.length, beside.test?.length]).toEqual([6, 6, 6]);
});

test("options of tables are refused", async () => {
  const folder = folderOf(numbers);
  expect(await refusal("BAD_ARGUMENT", () => loadData(folder, { labelColumn: "y" }))).toMatch(
    /^labelColumn: is an option of a \.csv or \.tsv table or .*: .* is a \.npz or \.npy file/,
  );
});

test("samples without a label stay without one where a network's classes are given", async () => {
  const files = { "x.npy": npy([6, 2], x), "y.npy": npy([6], Int32Array.of(0, 1, -1, 1, 0, -1)) };
  const options = { ...WHOLE, unlabelled: true };
  const { train } = await load(files).sets(options);
  const again = await load(files).sets({ ...options, preprocessing: preprocessingOf(train) } as never);
  expect([...labelsOf(again.train)]).toEqual([0, 1, -1, 1, 0, -1]);
});
