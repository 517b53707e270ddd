import { rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { setSourceRows } from "../../src/data/origin.js";
import { TableDataset } from "../../src/data/tensor_dataset.js";
import { loadData, Tensor, TensorDataset, zeros } from "../../src/index.js";
import { mistakesOf } from "../../src/report/mistakes.js";
import { imageUri } from "../../src/report/png.js";
import { folderOf } from "../data/support.js";
import { images } from "./support.js";

const CLASSES = 3;

/**
 * Logits that make the student say class 0 with growing sureness, the teacher class 1 for even samples and 2 for odd.
 */
function predictions(samples: number) {
  const student = Float32Array.from({ length: samples * CLASSES }, (_, i) => (i % CLASSES === 0 ? 1 + i / 100 : 0));
  const teacher = new Float32Array(samples * CLASSES);
  for (let i = 0; i < samples; i++) teacher[i * CLASSES + 1 + (i % 2)] = 1.23456789;
  return { student: new Tensor(student, [samples, CLASSES]), teacher: new Tensor(teacher, [samples, CLASSES]) };
}

function dataOf(labels: number[]) {
  return new TensorDataset(zeros([labels.length, 2]), Int32Array.from(labels), { classes: CLASSES });
}

test("the most confident mistakes come first; right predictions are left out", () => {
  const mistakes = mistakesOf(dataOf([1, 0, 1, 2]), { student: predictions(4).student });
  expect(mistakes.map(({ index, label }) => [index, label])).toEqual([
    [3, 2],
    [2, 1],
    [0, 1],
  ]);
  expect(mistakes[0]?.student).toEqual([1.09, 0, 0]);
  expect(mistakes.every((mistake) => !("teacher" in mistake) && !("image" in mistake))).toBe(true);
});

test("24 of them, and 24 where the teacher is right, each once", () => {
  // All wrong. The teacher is right for the even ones among the first 100, and nowhere else.
  const labels = Array.from({ length: 200 }, (_, i) => (i < 100 ? 1 : 2 - (i % 2)));
  const mistakes = mistakesOf(dataOf(labels), predictions(200));
  const [mostConfident, learnable] = [
    Array.from({ length: 24 }, (_, i) => 199 - i),
    Array.from({ length: 24 }, (_, i) => 98 - 2 * i),
  ];
  expect(mistakes.map(({ index }) => index)).toEqual([...mostConfident, ...learnable]);
  expect(mistakes[0]?.teacher).toEqual([0, 0, 1.23457]);
  // If these are those that the teacher gets right, they are there once.
  expect(mistakesOf(dataOf(labels.map((_, i) => (i % 2) + 1)), predictions(200)).map(({ index }) => index)).toEqual(
    mostConfident,
  );
});

test("no mistake; and images where there are some", () => {
  expect(mistakesOf(dataOf([0, 0]), { student: predictions(2).student })).toEqual([]);
  const data = images(4);
  const student = new Tensor(new Float32Array(4 * data.classes), [4, data.classes]);
  const [mistake] = mistakesOf(data, { student });
  const { index = 0, image } = mistake ?? {};
  const { inputs } = data.slice(index, index + 1);
  expect(image).toBe(imageUri(inputs.data, data.image as NonNullable<typeof data.image>));
});

test("the row of a table, as it was in the file", () => {
  const columns = [
    { name: "length", mean: 2, std: 0.5 },
    { name: "colour", categories: ["red", "blue"] },
  ];
  const table = { columns, label: { name: "kind", index: 2 }, header: true };
  const inputs = new Tensor(Float32Array.of((1.3 - 2) / 0.5, 0, 1, 0, 1, 0), [2, 3]);
  const data = new TableDataset(inputs, Int32Array.of(1, 0), { table, classes: CLASSES });
  const [mistake, ...others] = mistakesOf(data, { student: predictions(2).student });
  expect([mistake?.index, mistake?.cells, others]).toEqual([0, { length: 1.3, colour: "blue" }, []]);
});

/** The mistakes, all of class 0, in the test part of a file whose rows are all of class 1 and 2. */
async function mistakesIn(name: string, lines: readonly string[], stream: boolean) {
  const folder = folderOf({ [name]: Uint8Array.from(Buffer.from(lines.join("\n"))) });
  const { test } = await loadData(join(folder, name), { stream, testFraction: 0.5, labelColumn: "label" });
  const samples = test?.length ?? 0;
  return { folder, data: test as NonNullable<typeof test>, student: predictions(samples).student };
}

test.each([false, true])("where a table's row stands, its cells, streamed: %s", async (stream) => {
  // Class 0 is there, so that the others are wrong.
  const rows = Array.from({ length: 12 }, (_, i) => `${i / 4},${"abc"[i % 3]}`);
  const lines = ["x,label", "", ...rows];
  const { folder, data, student } = await mistakesIn("t.csv", lines, stream);
  const mistakes = mistakesOf(data, { student });
  expect(mistakes).toHaveLength(4);
  for (const { source, cells, label } of mistakes) {
    expect(source?.file).toBe("t.csv");
    expect(lines[(source?.line ?? 0) - 1]).toBe(`${cells?.x},${"abc"[label]}`);
  }
  if (stream) return;
  rmSync(folder, { recursive: true });
  const [gone] = mistakesOf(data, { student });
  expect([gone?.source, gone?.cells]).toEqual([undefined, mistakes[0]?.cells]);
});

test.each([false, true])("where a text stands, and the text, streamed: %s", async (stream) => {
  const lines = Array.from({ length: 12 }, (_, i) =>
    JSON.stringify({ text: `words, number ${i}\nand more`, label: "abc"[i % 3] }),
  );
  const { data, student } = await mistakesIn("t.jsonl", lines, stream);
  const mistakes = mistakesOf(data, { student });
  expect(mistakes).toHaveLength(4);
  for (const { source, text, label, cells } of mistakes) {
    expect(source?.file).toBe("t.jsonl");
    expect(JSON.parse(lines[(source?.line ?? 0) - 1] as string)).toEqual({ text, label: "abc"[label] });
    expect(cells).toBeUndefined();
  }
});

test("no line of a file that was rewritten with the same size", async () => {
  const lines = ["x,label", ...Array.from({ length: 12 }, (_, i) => `${10 + i},${"abc"[i % 3]}`)];
  const { folder, data, student } = await mistakesIn("t.csv", lines, false);
  const before = mistakesOf(data, { student });
  const [header, ...rows] = lines;
  const file = join(folder, "t.csv");
  writeFileSync(file, [header, ...rows.reverse()].join("\n"));
  // Not within the same tick of the file system's clock.
  utimesSync(file, new Date(), new Date(Date.now() + 1000));
  const after = mistakesOf(data, { student });
  expect(before.every(({ source }) => source !== undefined)).toBe(true);
  expect(after).toEqual(before.map(({ source: _, ...rest }) => rest));
});

test("an error of reading a row that is not the file's is not hidden", () => {
  const data = setSourceRows(dataOf([1, 2]), () => {
    throw new TypeError("a defect");
  });
  expect(() => mistakesOf(data, { student: predictions(2).student })).toThrow(TypeError);
});
