import { expect, test } from "vitest";
import { createNetwork, evaluate, ImageDataset, logitsOf, Mlp, randn } from "../../src/index.js";
import { rowsFor } from "../../src/nn/rows_for.js";

const SHAPE = [3, 32, 32];
const one = () => randn([1, ...SHAPE]);

test("images go through a network as many at once as 128 MB of activations are of", () => {
  // New ones: a first pass takes more than later ones, which know what is fused.
  const fresh = () => createNetwork("resnet8", { shape: SHAPE, classes: 10 });
  const rows = rowsFor([fresh()], one, 10_000);
  expect(rows).toBeGreaterThan(64);
  expect(rows).toBeLessThan(1000);
  expect(rowsFor([fresh()], one, 7)).toBe(7);
  expect(rowsFor([fresh(), fresh()], one, 10_000)).toBe(Math.floor(rows / 2));
  expect(rowsFor([new Mlp({ inFeatures: 3072, hidden: [8], classes: 10 })], one, 10_000)).toBe(10_000);
});

test("figures and logits do not depend on it", () => {
  const pixels = Uint8Array.from({ length: 40 * 3 * 32 * 32 }, (_, i) => (i * i * 7) % 256);
  const labels = Int32Array.from({ length: 40 }, (_, i) => i % 10);
  const image = { channels: 3, height: 32, width: 32 };
  const data = new ImageDataset(pixels, labels, { image, mean: 0.5, std: 0.25 });
  const network = createNetwork("wrn_16_1", { shape: SHAPE, classes: 10 });
  expect(evaluate(network, data, { batchSize: 3 })).toEqual(evaluate(network, data));
  expect(logitsOf(network, data, { batchSize: 3 }).data).toEqual(logitsOf(network, data).data);
});
