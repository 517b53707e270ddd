import { expect, test } from "vitest";
import { createNetwork, manualSeed, randn } from "../../src/index.js";
import { LeNet300 } from "../../src/models/lenet300.js";

test("computes three products with ReLU between them", () => {
  manualSeed(3);
  const network = new LeNet300();
  const { fc1, fc2, fc3 } = network;
  const x = randn([4, 784]);
  const expected = fc3.forward(fc2.forward(fc1.forward(x).relu()).relu());
  expect(network.forward(x).data).toEqual(expected.data);
  expect(network.parameterCount()).toBe(784 * 300 + 300 + 300 * 100 + 100 + 100 * 10 + 10);
});

test("has a name, and the keys of the same network in PyTorch", () => {
  const network = createNetwork("lenet300", { shape: [4], classes: 3 });
  const shapes = Object.entries(network.stateDict()).map(([key, { shape }]) => [key, ...shape]);
  expect(shapes).toEqual([
    ["fc1.weight", 300, 4],
    ["fc1.bias", 300],
    ["fc2.weight", 100, 300],
    ["fc2.bias", 100],
    ["fc3.weight", 3, 100],
    ["fc3.bias", 3],
  ]);
});
