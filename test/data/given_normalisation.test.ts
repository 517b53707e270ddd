import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loadData, preprocessingOf } from "../../src/index.js";
import { temporaryFolder } from "../support.js";
import { folderOf, idx } from "./support.js";

const temporary = temporaryFolder();
const part = (name: string) => ({
  [`${name}-images-idx3-ubyte`]: idx([2, 1, 2], [0, 51, 102, 255]),
  [`${name}-labels-idx1-ubyte`]: idx([2], [0, 1]),
});
const images = folderOf({ ...part("train"), ...part("t10k") }, "images");

/** CIFAR-10's records: a label, then 1024 pixels of each channel. */
function cifar(): string {
  const records = Buffer.concat(
    [0, 1].map((label) => Buffer.from([label, ...Array.from({ length: 3072 }, (_, i) => 51 * Math.floor(i / 1024))])),
  );
  return folderOf(
    Object.fromEntries(
      ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"].map((name) => [
        `${name}.bin`,
        records,
      ]),
    ),
    "cifar",
  );
}

test("pixels are normalised with the mean and deviation that are given, of each part", async () => {
  const { train, test } = await loadData(images, { mean: [0.2], std: [0.5] });
  for (const data of [train, test]) {
    const expected = [-0.4, 0, 0.4, 1.6].map((x) => expect.closeTo(x, 6));
    expect([...(data?.slice(0, 2).inputs.data ?? [])]).toEqual(expected);
  }
  expect(preprocessingOf(train)).toMatchObject({ kind: "image", mean: [0.2], std: [0.5] });
});

test("by channel, in memory and streamed", async () => {
  for (const stream of [false, true]) {
    const { train } = await loadData(cifar(), { mean: [0, 0.1, 0.2], std: [1, 0.5, 0.25], stream });
    const { inputs } = train.slice(0, 1);
    expect(inputs.shape).toEqual([1, 3, 32, 32]);
    expect([0, 1024, 2048].map((i) => inputs.data[i])).toEqual([0, 0.2, 0.8].map((x) => expect.closeTo(x, 6)));
  }
});

test.each([
  { mean: 0.1, std: 0.5 },
  { mean: [0.1], std: [0.5] },
])("one for all channels: %j", async (options) => {
  const { train } = await loadData(cifar(), options);
  expect(preprocessingOf(train)).toMatchObject({ mean: [0.1, 0.1, 0.1], std: [0.5, 0.5, 0.5] });
});

test("of several, as many as channels", async () => {
  await expect(loadData(cifar(), { mean: [0, 0], std: 1 })).rejects.toThrow(
    "mean: expected 3 numbers, one a channel, got 2",
  );
  await expect(loadData(cifar(), { mean: "0" as never, std: 1 })).rejects.toThrow(
    'mean: expected a number, or a list of them, one for each channel, got "0"',
  );
});

test.each([
  [{ mean: [0.5] }, "mean, std: expected both or none, got one of them"],
  [{ mean: [0.5, 0.5], std: [1, 1] }, "mean: expected"],
  [{ mean: [0.5], std: [0] }, "std[0]: expected a number above 0"],
  [{ mean: [Number.NaN], std: [1] }, "mean"],
])("refused: %j", async (options, text) => {
  await expect(loadData(images, options)).rejects.toThrow(text);
});

test("a table has its own", async () => {
  const file = join(temporary, "rows.csv");
  writeFileSync(file, "a,label\n1,x\n2,y\n3,x\n4,y\n");
  await expect(loadData(file, { mean: [0.5], std: [1] })).rejects.toThrow("mean: is an option of ");
});

test("a network that knows its own is not given another", async () => {
  const preprocessing = preprocessingOf((await loadData(images)).train);
  await expect(loadData(images, { preprocessing, mean: [0.5], std: [1] })).rejects.toThrow(
    "mean, std: the network knows",
  );
});
