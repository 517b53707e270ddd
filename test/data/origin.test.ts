import { join } from "node:path";
import { expect, test } from "vitest";
import { loadData, preprocessingOf, splitDataset } from "../../src/data/index.js";
import { countSamplesOf, originOf, testPartOf } from "../../src/data/origin.js";
import { folderOf } from "./support.js";

const table = (name: string, lines: readonly string[]) =>
  join(folderOf({ [name]: Buffer.from(lines.join("\n")) }), name);

test("of data with samples without a label: the same parts again", async () => {
  const rows = Array.from({ length: 60 }, (_, i) => `${i},${i % 7},${i % 3 === 0 ? "" : "ab"[i % 2]}`);
  const file = table("t.csv", ["u,v,label", ...rows]);
  const { train: all } = await loadData(file, { unlabelled: true, testFraction: 0, standardize: false });
  const { train, heldOut } = splitDataset(all, { fraction: 0.25, seed: 3 });
  const origin = originOf(train);
  expect([train, heldOut, all].map((data) => countSamplesOf(origin, data))).toEqual([train.length, 0, train.length]);
  const split = await loadData(file, { unlabelled: true, testFraction: 0.25, standardize: false });
  const part = testPartOf(originOf(split.train), all);
  expect(part?.slice(0, part.length).inputs.data).toEqual(split.test?.slice(0, split.test.length).inputs.data);
});

test("data that are read by a preprocessing keep its several labels", async () => {
  const rows = Array.from({ length: 20 }, (_, i) => `${i},${2 * i},${3 * i}`);
  const file = table("t.csv", ["u,h,w", ...rows]);
  const { train } = await loadData(file, { labelColumns: ["h", "w"], testFraction: 0 });
  const again = await loadData(file, { preprocessing: preprocessingOf(train), testFraction: 0 });
  expect(preprocessingOf(again.train)).toEqual(preprocessingOf(train));
  expect(preprocessingOf(train)).toHaveProperty("labels");
});
