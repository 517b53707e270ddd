import { expect, test } from "vitest";
import { type ImageSets, loadImages } from "../../src/data/index.js";
import { describeWith, fashionMnist } from "../helpers/needs.js";
import { measure } from "./support.js";

const data = await fashionMnist();
const { train, test: tested } = data.met ? await loadImages("fashion-mnist") : ({} as ImageSets);

describeWith(data, "Fashion-MNIST", () => {
  test("sizes", () => {
    expect([train.length, tested.length]).toEqual([60000, 10000]);
    expect([train.features, tested.features, train.classes, tested.classes]).toEqual([784, 784, 10, 10]);
  });

  test("the first labels, and as many of each class", () => {
    expect(Array.from(train.labels.data.subarray(0, 10))).toEqual([9, 0, 0, 3, 0, 2, 7, 2, 5, 5]);
    expect(Array.from(tested.labels.data.subarray(0, 10))).toEqual([9, 2, 1, 1, 6, 1, 4, 6, 5, 7]);
    for (const { labels, length } of [train, tested]) {
      const counts = Array.from({ length: 10 }, (_, c) => labels.data.filter((label) => label === c).length);
      expect(counts).toEqual(new Array(10).fill(length / 10));
    }
  });

  test("its usual normalisation is what is measured", () => {
    const { mean, std } = measure(train.pixels);
    expect([train.mean, train.std]).toEqual([0.286, 0.353]);
    expect(Math.abs(mean - 0.286)).toBeLessThan(5e-5);
    expect(Math.abs(std - 0.353)).toBeLessThan(5e-5);
  });

  test("pixels are PyTorch's (x / 255 - 0.286) / 0.353", () => {
    const { inputs } = train.batch(Int32Array.of(0));
    expect([200, 207, 209].map((i) => inputs.data[i])).toEqual([
      -0.8101983666419983, -0.7990891337394714, -0.04365939274430275,
    ]);
    expect(train.pixels.subarray(0, 784).reduce((sum, pixel) => sum + pixel, 0)).toBe(76247);
  });

  test("training and test set are distinguished", () => {
    expect(train.fingerprint()).not.toBe(tested.fingerprint());
  });
});
