import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { TensorDataset } from "../../src/data/index.js";
import { IntTensor, Tensor, tensor, zeros } from "../../src/index.js";
import { withArena } from "../../src/tensor/step.js";
import { refusal } from "./support.js";

const inputs = tensor([
  [0, 1, 2],
  [10, 11, 12],
  [20, 21, 22],
  [30, 31, 32],
]);
const labels = Int32Array.of(3, 0, 1, 0);
const dataset = new TensorDataset(inputs, labels);

describe("batches", () => {
  test("the samples of indices, in their order and as often as they stand there", () => {
    const indices = Int32Array.of(2, 0, 2);
    const batch = dataset.batch(indices);
    const rows = [
      [20, 21, 22],
      [0, 1, 2],
      [20, 21, 22],
    ];
    expect(batch.inputs.toArray()).toEqual(rows);
    expect(batch.labels.toArray()).toEqual([1, 3, 1]);
    expect(batch.indices).toBe(indices);
  });

  test("none", () => {
    const { inputs, labels, indices } = dataset.batch(new Int32Array(0));
    expect([inputs.shape, labels.shape, indices.length]).toEqual([[0, 3], [0], 0]);
  });

  test("a slice is the tensors' own memory", () => {
    const batch = dataset.slice(1, 3);
    const rows = [
      [10, 11, 12],
      [20, 21, 22],
    ];
    expect(batch.inputs.toArray()).toEqual(rows);
    expect(batch.labels.toArray()).toEqual([0, 1]);
    expect(Array.from(batch.indices)).toEqual([1, 2]);
    expect([batch.inputs.data.buffer, batch.labels.data.buffer]).toEqual([inputs.data.buffer, labels.buffer]);
    expect(batch.inputs.data.byteOffset).toBe(inputs.data.byteOffset + 12);
  });

  test("changed indices of one batch leave the next as it was", () => {
    dataset.slice(0, 4).indices.fill(0);
    expect(Array.from(dataset.slice(0, 4).indices)).toEqual([0, 1, 2, 3]);
  });

  test("in a scope a batch takes the memory of the step before", () => {
    const step = () => withArena(() => dataset.batch(Int32Array.of(0, 1)).inputs.data);
    expect(step()).toBe(step());
  });

  test("inputs are outside of the tape", () => {
    const recorded = new Tensor(new Float32Array(2), [2, 1], { requiresGrad: true }).mul(2);
    const { inputs } = new TensorDataset(recorded, Int32Array.of(0, 1)).slice(0, 2);
    expect([inputs.requiresGrad, inputs.node]).toEqual([false, null]);
  });
});

test("sizes, classes and names", () => {
  expect([dataset.length, dataset.features, dataset.classes, dataset.name]).toEqual([4, 3, 4, "tensors"]);
  const named = new TensorDataset(inputs, new IntTensor(labels), { classes: 7, name: "mine" });
  expect([named.classes, named.name]).toEqual([7, "mine"]);
});

describe("the fingerprint", () => {
  const of = (rows: number[][], labels: number[], classes?: number) =>
    new TensorDataset(tensor(rows), Int32Array.from(labels), classes ? { classes } : {}).fingerprint();
  const base = of([[1], [2]], [0, 1]);

  test("SHA-256 over sizes, values and labels", () => {
    const values = Buffer.from(Float32Array.of(1, 2).buffer);
    const bytes = [Buffer.from("float32 [2, 1]\n"), values, Buffer.from(Int32Array.of(0, 1).buffer)];
    expect(base).toBe(createHash("sha256").update(Buffer.concat(bytes)).digest("hex"));
  });

  test("changes with a value or a label, and with nothing else", () => {
    expect(of([[1], [2]], [0, 1], 5)).toBe(base);
    expect(of([[1], [2.0000002]], [0, 1])).not.toBe(base);
    expect(of([[1], [2]], [1, 1])).not.toBe(base);
    expect(of([[1, 2]], [0])).not.toBe(base);
  });
});

describe("refused", () => {
  const four = Int32Array.of(0, 0, 0, 0);
  const nan = new Tensor(Float32Array.of(1, 2, 3, 4, Number.NaN, Number.POSITIVE_INFINITY), [3, 2]);
  test.each<[string, () => unknown, string]>([
    [
      "BAD_DTYPE",
      () => new TensorDataset([[1]] as never, four),
      "inputs: expected a Tensor, as tensor(values, { shape: [rows, features] }), got",
    ],
    [
      "BAD_DTYPE",
      () => new TensorDataset(inputs, [0, 0, 0, 0] as never),
      "labels: expected an IntTensor or Int32Array",
    ],
    ["SHAPE_MISMATCH", () => new TensorDataset(zeros([4]), four), "inputs: expected shape [*, *], got [4]"],
    ["SHAPE_MISMATCH", () => new TensorDataset(zeros([3, 2, 2]), four), "labels: expected shape [3], got [4]"],
    ["SHAPE_MISMATCH", () => new TensorDataset(zeros([3, 2]), four), "labels: expected shape [3], got [4]"],
    [
      "SHAPE_MISMATCH",
      () => new TensorDataset(inputs, new IntTensor(four, [4, 1])),
      "labels: expected shape [4], got [4, 1]",
    ],
    [
      "BAD_ARGUMENT",
      () => new TensorDataset(zeros([0, 2]), new Int32Array(0)),
      "inputs: expected at least one sample of one value, got [0, 2]",
    ],
    [
      "BAD_ARGUMENT",
      () => new TensorDataset(zeros([4, 0]), four),
      "inputs: expected at least one sample of one value, got [4, 0]",
    ],
    ["BAD_ARGUMENT", () => new TensorDataset(inputs, four, { classes: 0 }), "classes: expected a whole number from 1"],
    [
      "BAD_ARGUMENT",
      () => new TensorDataset(inputs, four, { classes: 2.5 }),
      "classes: expected a whole number from 1",
    ],
    ["BAD_ARGUMENT", () => new TensorDataset(inputs, four, { name: 1 as never }), "name: expected a text, got 1"],
    [
      "LABEL_OUT_OF_RANGE",
      () => new TensorDataset(inputs, labels, { classes: 3 }),
      "labels[0]: expected a class from 0 to 2, got 3",
    ],
    [
      "LABEL_OUT_OF_RANGE",
      () => new TensorDataset(inputs, Int32Array.of(0, 1, -1, 0)),
      "labels[2]: expected a class from 0 to 2147483646, got -1",
    ],
    [
      "NON_FINITE",
      () => new TensorDataset(nan, Int32Array.of(0, 1, 2)),
      "inputs: expected finite numbers, got NaN in row 2, column 0",
    ],
    ["BAD_DTYPE", () => dataset.batch([0, 1] as never), "indices: expected an Int32Array, got [0, 1]"],
    [
      "BAD_ARGUMENT",
      () => dataset.batch(Int32Array.of(0, 4)),
      "indices[1]: expected a whole number from 0 to 3, got 4",
    ],
    ["BAD_ARGUMENT", () => dataset.batch(Int32Array.of(-1)), "indices[0]: expected a whole number from 0 to 3, got -1"],
    ["BAD_ARGUMENT", () => dataset.slice(-1, 2), "start: expected a whole number from 0 to 4, got -1"],
    ["BAD_ARGUMENT", () => dataset.slice(0, 5), "end: expected a whole number from 0 to 4, got 5"],
    ["BAD_ARGUMENT", () => dataset.slice(2, 1), "end: expected a whole number from 2 to 4, got 1"],
    ["BAD_ARGUMENT", () => dataset.slice(0.5, 1), "start: expected a whole number from 0 to 4, got 0.5"],
  ])("%s %#", async (code, body, text) => {
    expect((await refusal(code, body)).slice(0, text.length)).toBe(text);
  });
});
