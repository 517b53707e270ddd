import { expect, test } from "vitest";
import { measure } from "../../src/data/normalisation.js";

test("the mean and the population's standard deviation of pixels in [0, 1]", () => {
  // 0, 0.2, 0.4, 1: mean 0.4, squares of the distances .16, .04, 0, .36.
  const { mean, std } = measure(Uint8Array.of(0, 51, 102, 255));
  expect(mean).toBeCloseTo(0.4, 15);
  expect(std).toBeCloseTo(Math.sqrt(0.14), 15);
});

test("against a plain two-pass sum", () => {
  const pixels = Uint8Array.from({ length: 9999 }, (_, i) => (i * i * 7) >> 3);
  const mean = pixels.reduce((sum, p) => sum + p / 255, 0) / pixels.length;
  const variance = pixels.reduce((sum, p) => sum + (p / 255 - mean) ** 2, 0) / pixels.length;
  const got = measure(pixels);
  expect(got.mean).toBeCloseTo(mean, 12);
  expect(got.std).toBeCloseTo(Math.sqrt(variance), 12);
});

test.each([0, 1, 77, 255])("pixels that are all %i divide by 1", (pixel) => {
  expect(measure(new Uint8Array(1001).fill(pixel))).toEqual({ mean: pixel / 255, std: 1 });
});
