import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadData, logitsColumn, splitDataset } from "../../src/index.js";
import { folderOf } from "../data/support.js";
import { failure } from "../support.js";

const SCORES = [
  [0.5, -1],
  [2, 3.25],
  [-4, 1e-3],
  [0, 7],
];
const LABELS = ["no", "yes", "no", "yes"];
const fileOf = (name: string, text: string) => join(folderOf({ [name]: Buffer.from(text) }), name);
const csv = (cells: readonly string[]) =>
  ["size,scores,label", ...cells.map((cell, i) => `${i},${cell},${LABELS[i]}`)].join("\n");

describe("the logits in a column of a table", () => {
  test.each<[string, string, string]>([
    ["lists in a .csv", "t.csv", csv(SCORES.map((row) => `"${JSON.stringify(row)}"`))],
    ["numbers with spaces in a .csv", "t.csv", csv(SCORES.map((row) => row.join(" ")))],
    [
      "lists in JSON lines",
      "t.jsonl",
      SCORES.map((scores, size) => JSON.stringify({ size, scores, label: LABELS[size] })).join("\n"),
    ],
  ])("%s", async (_, name, text) => {
    const file = fileOf(name, text);
    const { train: data } = await loadData(file, { dropColumns: ["scores"], testFraction: 0 });
    expect(data.features).toBe(1);
    const teacher = await logitsColumn(file, "scores", { classes: ["no", "yes"] });
    const { train } = splitDataset(data, { fraction: 0.5 });
    teacher.open?.({ data: train, taps: [] });
    const rows = data.slice(0, 4).inputs.data;
    const { inputs, indices } = train.slice(0, train.length);
    const { logits } = await teacher.outputs({ inputs, indices, labels: train.slice(0, train.length).labels });
    const expected = [...inputs.data].map((value) => SCORES[rows.indexOf(value)].map(Math.fround));
    expect(logits.toArray()).toEqual(expected);
  });

  test("by its place, in the training file of a folder", async () => {
    const file = fileOf("Train.csv", csv(SCORES.map((row) => row.join(" "))));
    const { train: data } = await loadData(dirname(file), { dropColumns: ["scores"], testFraction: 0 });
    for (const column of [1, "1", -2, "-2"]) {
      const teacher = await logitsColumn(dirname(file), column);
      teacher.open?.({ data, taps: [] });
      const { logits } = await teacher.outputs(data.slice(0, 4));
      expect(logits.toArray()).toEqual(SCORES.map((row) => row.map(Math.fround)));
    }
  });

  test.each<[string, string, string, RegExp]>([
    [
      "NaN",
      csv(["1 2", "1 NaN", "1 2", "1 2"]),
      "BAD_DATA",
      /line 3, "scores": expected a finite number for each class.*"1 NaN"$/,
    ],
    [
      "a cell that is missing",
      csv(["1 2", "1 2", "", "1 2"]),
      "BAD_DATA",
      /line 4, "scores": expected a finite number/,
    ],
    [
      "another number of classes",
      csv(["1 2", "1 2", "1 2 3", "1 2"]),
      "BAD_DATA",
      /line 4, "scores": expected 2 numbers as before, got 3$/,
    ],
    ["no such column", "size,label\n1,a\n2,b", "BAD_ARGUMENT", /"scores"/],
  ])("%s is refused with the line", async (_, text, code, message) => {
    expect((await failure(logitsColumn(fileOf("t.csv", text), "scores"), code)).message).toMatch(message);
  });

  test("another number of classes than the data have; a file that is no table", async () => {
    const file = fileOf("t.csv", csv(["1 2 3", "1 2 3", "1 2 3", "1 2 3"]));
    const { train: data } = await loadData(file, { dropColumns: ["scores"], testFraction: 0 });
    const teacher = await logitsColumn(file, "scores");
    expect(() => teacher.open?.({ data, taps: [] })).toThrow(
      /expected a column for each of the 2 classes of t, got 3 columns$/,
    );
    expect((await failure(logitsColumn("x.npy", "scores"), "BAD_ARGUMENT")).message).toMatch(/expected a table, \.csv/);
  });
});
