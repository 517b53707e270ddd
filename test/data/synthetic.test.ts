import { expect, test } from "vitest";
import { synthetic } from "../../src/data/index.js";
import { manualSeed, randint, randn } from "../../src/index.js";
import { refusal } from "./support.js";

test("the script's data: normals, then labels, from the current stream", () => {
  manualSeed(3);
  const [x, y] = [randn([20, 30]), randint(0, 4, [20])];
  manualSeed(3);
  const { inputs, labels } = synthetic({ samples: 20, features: 30, classes: 4 }).slice(0, 20);
  expect(Array.from(inputs.data)).toEqual(Array.from(x.data));
  expect(Array.from(labels.data)).toEqual(Array.from(y.data));
});

test("the script's sizes are the defaults", () => {
  const { name, length, features, classes } = synthetic();
  expect([name, length, features, classes]).toEqual(["synthetic", 1024, 784, 10]);
  // Also where no label of the highest class was drawn.
  expect(synthetic({ samples: 1, classes: 1000 }).classes).toBe(1000);
});

test.each(["samples", "features", "classes"])("%s of 0, or not whole", async (option) => {
  for (const value of [0, -1, 1.5, Number.NaN, "3"]) {
    const text = await refusal("BAD_ARGUMENT", () => synthetic({ [option]: value }));
    expect(text).toMatch(new RegExp(`^${option}: expected a whole number from 1 to 2147483647, got `));
  }
});
