import { describe, expect, test } from "vitest";
import { ImageDataset } from "../../src/data/index.js";
import { refusal } from "./support.js";

const pixels = Uint8Array.of(0, 51, 102, 153, 204, 255);
const labels = Int32Array.of(0, 4, 1);
const options = { features: 2, mean: 0.2, std: 0.4 };
const dataset = new ImageDataset(pixels, labels, options);

/** (p / 255 - mean) / std in single precision, operation by operation. */
const normalise = (p: number, { mean, std } = options) =>
  Math.fround(Math.fround(Math.fround(p / 255) - Math.fround(mean)) / Math.fround(std));

test("pixels are normalised in single precision", () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  const numbers = { features: 256, mean: 0.286, std: 0.353 };
  const { inputs } = new ImageDataset(all, Int32Array.of(0), numbers).slice(0, 1);
  expect(Array.from(inputs.data)).toEqual(Array.from(all, (p) => normalise(p, numbers)));
});

test("the samples of indices", () => {
  const { inputs, labels, indices } = dataset.batch(Int32Array.of(2, 0));
  expect(inputs.toArray()).toEqual([
    [normalise(204), normalise(255)],
    [normalise(0), normalise(51)],
  ]);
  expect(inputs.data[0]).toBeCloseTo(1.5, 6);
  expect(labels.toArray()).toEqual([1, 0]);
  expect(Array.from(indices)).toEqual([2, 0]);
});

test("a slice", () => {
  const { inputs, labels, indices } = dataset.slice(1, 3);
  expect(Array.from(inputs.data)).toEqual([102, 153, 204, 255].map((p) => normalise(p)));
  expect(labels.toArray()).toEqual([4, 1]);
  expect(Array.from(indices)).toEqual([1, 2]);
});

test("sizes, classes and names", () => {
  expect([dataset.length, dataset.features, dataset.classes, dataset.name]).toEqual([3, 2, 5, "images"]);
  const named = new ImageDataset(pixels, labels, { ...options, classes: 9, name: "mine" });
  expect([named.classes, named.name]).toEqual([9, "mine"]);
});

test("the fingerprint changes with a pixel, a label or the normalisation", () => {
  const of = (p = pixels, l = labels, o = options) => new ImageDataset(p, l, o).fingerprint();
  const changed = [
    of(Uint8Array.of(0, 51, 102, 153, 204, 254)),
    of(pixels, Int32Array.of(0, 4, 2)),
    of(pixels, labels, { ...options, mean: 0.21 }),
    of(pixels, labels, { ...options, std: 0.41 }),
  ];
  expect(of()).toMatch(/^[0-9a-f]{64}$/);
  expect(of()).toBe(of());
  expect(new Set([of(), ...changed]).size).toBe(5);
});

describe("refused", () => {
  const make = (o: object, p: unknown = pixels, l: unknown = labels) => {
    return () => new ImageDataset(p as never, l as never, { ...options, ...o });
  };
  test.each<[string, () => unknown, string]>([
    ["BAD_DTYPE", make({}, new Float32Array(6)), "pixels: expected a Uint8Array, got a value of type Float32Array"],
    ["BAD_DTYPE", make({}, pixels, [0, 1, 2]), "labels: expected an IntTensor or Int32Array, got [0, 1, 2]"],
    ["SHAPE_MISMATCH", make({ features: 4 }), "pixels: expected shape [8], got [6]"],
    ["SHAPE_MISMATCH", make({ features: 3 }), "labels: expected shape [2], got [3]"],
    ["BAD_ARGUMENT", make({ features: 0 }), "features: expected a whole number from 1 to 2147483647, got 0"],
    ["BAD_ARGUMENT", make({}, new Uint8Array(0)), "samples: expected a whole number from 1 to 2147483647, got 0"],
    ["BAD_ARGUMENT", make({ mean: Number.NaN }), "mean: expected a finite number of float32's range, got NaN"],
    ["BAD_ARGUMENT", make({ std: 0 }), "std: expected a number above 0, got 0"],
    ["BAD_ARGUMENT", make({ std: -1 }), "std: expected a number above 0, got -1"],
    // Above 0, but not in single precision.
    ["BAD_ARGUMENT", make({ mean: 1e39 }), "mean: expected a finite number of float32's range, got 1e+39"],
    [
      "BAD_ARGUMENT",
      make({ std: 1e-44 }),
      "mean, std: expected numbers by which pixels stay finite, got 0.2 and 1e-44",
    ],
    ["BAD_ARGUMENT", make({ std: 1e-60 }), "std: expected a number above 0, got 1e-60"],
    ["LABEL_OUT_OF_RANGE", make({ classes: 4 }), "labels[1]: expected a class from 0 to 3, got 4"],
    ["BAD_ARGUMENT", () => dataset.batch(Int32Array.of(3)), "indices[0]: expected a whole number from 0 to 2, got 3"],
  ])("%s %#", async (code, body, text) => {
    expect(await refusal(code, body)).toBe(text);
  });
});

describe("colour", () => {
  const image = { channels: 3, height: 1, width: 2 };
  const bytes = Uint8Array.from({ length: 12 }, (_, i) => i * 20);
  const numbers = { mean: [0.1, 0.2, 0.3], std: [0.5, 0.25, 2] };
  const make = (o: object = {}) => new ImageDataset(bytes, Int32Array.of(0, 1), { image, ...numbers, ...o });

  test("each channel has its own normalisation, in single precision", () => {
    const { inputs } = make().batch(Int32Array.of(1, 0));
    const expected = [...bytes.subarray(6), ...bytes.subarray(0, 6)].map((p, i) => {
      const channel = Math.floor((i % 6) / 2);
      return normalise(p, { features: 6, mean: numbers.mean[channel], std: numbers.std[channel] });
    });
    expect(Array.from(inputs.data)).toEqual(expected);
  });

  test("one number stands for all channels, and a list of one for a number", () => {
    const all = make({ mean: 0.2, std: 0.4 });
    expect(all.image).toEqual({ ...image, mean: [0.2, 0.2, 0.2], std: [0.4, 0.4, 0.4] });
    expect([all.mean, all.std, all.features]).toEqual([0.2, 0.4, 6]);
    expect(Array.from(all.slice(0, 2).inputs.data)).toEqual(Array.from(bytes, (p) => normalise(p)));
    const grey = { channels: 1, height: 1, width: 6 };
    const one = make({ image: grey, mean: [0.2], std: [0.4] });
    expect(one.slice(0, 2).inputs.shape).toEqual([2, 1, 1, 6]);
    expect(one.slice(0, 2).inputs.data).toEqual(all.slice(0, 2).inputs.data);
    expect(one.fingerprint()).toBe(all.fingerprint());
  });

  test("the fingerprint changes with one channel's numbers", () => {
    const of = (o: object) => make(o).fingerprint();
    expect(new Set([of({}), of({ mean: [0.1, 0.2, 0.4] }), of({ std: [0.5, 0.5, 2] })]).size).toBe(3);
  });

  test("names of classes", () => {
    const named = make({ classNames: ["cat", "dog", "cow"] });
    expect([named.classes, named.classNames, make().classNames]).toEqual([3, ["cat", "dog", "cow"], undefined]);
  });

  test.each<[string, object, string]>([
    ["BAD_ARGUMENT", { mean: [0.1, 0.2] }, "mean: expected 3 numbers, one a channel, got 2"],
    ["BAD_ARGUMENT", { std: [1, 1, 0] }, "std[2]: expected a number above 0, got 0"],
    ["BAD_ARGUMENT", { mean: [1, Number.NaN, 0] }, "mean[1]: expected a finite number of float32's range, got NaN"],
    [
      "BAD_ARGUMENT",
      { image: { ...image, height: 0 } },
      "image.height: expected a whole number from 1 to 2147483647, got 0",
    ],
    ["BAD_ARGUMENT", { features: 5 }, "features: expected 6, as an image of [3, 1, 2] has, got 5"],
    ["BAD_ARGUMENT", { image: undefined }, "features: expected a whole number from 1 to 2147483647, got undefined"],
    ["SHAPE_MISMATCH", { image: { ...image, width: 3 } }, "pixels: expected shape [18], got [12]"],
    ["BAD_ARGUMENT", { classNames: ["a", "a"] }, 'classNames[1]: expected texts, each once, got "a"'],
    ["BAD_ARGUMENT", { classNames: ["a"], classes: 2 }, "classNames: expected 2 names, got 1"],
    ["BAD_DTYPE", { classNames: "ab" }, 'classNames: expected a list of texts, got "ab"'],
    ["LABEL_OUT_OF_RANGE", { classNames: ["a"] }, "labels[1]: expected a class from 0 to 0, got 1"],
  ])("refused: %s %j", async (code, o, text) => {
    expect(await refusal(code, () => make(o))).toBe(text);
  });
});
