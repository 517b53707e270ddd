import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { inUnits, targetsOf } from "../../src/data/targets.js";
import {
  type Dataset,
  fromIterable,
  IntTensor,
  type LoadDataOptions,
  loadData,
  parsePreprocessing,
  preprocessingOf,
  readSamples,
  splitDataset,
  type Tensor,
  TensorDataset,
  tensor,
} from "../../src/index.js";
import { npy } from "./numpy_support.js";
import { folderOf, refusal } from "./support.js";

const ROWS = 60;
const PRICES = Array.from({ length: ROWS }, (_, i) => 100 + 7.25 * ((13 * i) % ROWS));
const SIZES = Array.from({ length: ROWS }, (_, i) => ((i * i) % 23) / 8 - 1);
const table = (extra: (i: number) => string = () => "") =>
  `a,price,colour,size${extra(-1)}\n${PRICES.map((price, i) => `${i % 9},${price},${"rgb"[i % 3]},${SIZES[i]}${extra(i)}\n`).join("")}`;

function load(files: Record<string, string | Uint8Array>, file: string, options: LoadDataOptions = {}) {
  const bytes = Object.entries(files).map(([name, content]) => [name, Buffer.from(content as string)]);
  const notes: string[] = [];
  const path = join(folderOf(Object.fromEntries(bytes)), file);
  const loading = { testFraction: 0, onNote: (text: string) => void notes.push(text), ...options };
  return { path, notes, sets: () => loadData(path, loading) };
}

/** The targets in the unit of their columns, row by row. */
function rowsOf(data: Dataset): number[][] {
  const { data: values, shape } = targetsOf(data) as Tensor;
  const all = inUnits(Float64Array.from(values), data.targetScale);
  return Array.from({ length: shape[0] }, (_, i) => Array.from(all.subarray(i * shape[1], (i + 1) * shape[1])));
}

const near = (wanted: number[][]) => wanted.map((row) => row.map((x) => expect.closeTo(x, 4)));

describe("the targets of a table", () => {
  test("many numbers of a named column are found, said, and standardised by the training rows", async () => {
    const { notes, sets, path } = load({ "t.csv": table() }, "t.csv", { labelColumn: "price", testFraction: 0.25 });
    const { train, test: held } = await sets();
    expect([train.task, train.classes, train.classNames]).toEqual(["regression", 1, ["price"]]);
    expect(notes).toEqual([
      expect.stringContaining(`${path}: its label, "price", has 60 different numbers: a regression`),
    ]);
    expect([train.length, held?.length]).toEqual([45, 15]);
    const own = rowsOf(train).flat();
    const mean = own.reduce((sum, x) => sum + x, 0) / own.length;
    expect(train.targetScale?.mean[0]).toBeCloseTo(mean, 3);
    const values = (targetsOf(train) as Tensor).data;
    expect(values.reduce((sum, x) => sum + x, 0) / 45).toBeCloseTo(0, 5);
    expect(values.reduce((sum, x) => sum + x * x, 0) / 45).toBeCloseTo(1, 5);
    expect([...own, ...rowsOf(held as Dataset).flat()].sort((a, b) => a - b)).toEqual(
      PRICES.toSorted((a, b) => a - b).map((x) => expect.closeTo(x, 3)),
    );
  });

  test("several columns are several targets, and are no values", async () => {
    const { notes, sets } = load({ "t.csv": table() }, "t.csv", { labelColumns: ["size", "price"] });
    const { train } = await sets();
    expect(train.table?.columns.map(({ name }) => name)).toEqual(["a", "colour"]);
    expect(rowsOf(train)).toEqual(near(PRICES.map((price, i) => [SIZES[i], price])));
    expect(notes[0]).toContain('"size", "price": numbers: a regression (--task regression)');
  });

  test("several columns of 0 and 1 are several labels", async () => {
    const extra = (i: number) => (i < 0 ? ",x,y" : `,${i % 2},${Number(i % 3 === 0)}`);
    const { sets } = load({ "t.csv": table(extra) }, "t.csv", { labelColumns: ["x", "y"] });
    const { train } = await sets();
    expect([train.task, train.classNames, train.targetScale]).toEqual(["multi-label", ["x", "y"], undefined]);
    expect(rowsOf(train)).toEqual(PRICES.map((_, i) => [i % 2, Number(i % 3 === 0)]));
  });

  test("a JSON line's, streamed ones, and those of the other parts by the names of the columns", async () => {
    const lines = PRICES.map((price, i) => `${JSON.stringify({ a: i % 9, price, size: SIZES[i] })}\n`).join("");
    const other = "size,a,price\n1.5,3,250\n";
    const options = { labelColumns: ["price", "size"], stream: true };
    expect(rowsOf((await load({ "t.jsonl": lines }, "t.jsonl", options).sets()).train)).toHaveLength(ROWS);
    const files = {
      "t.csv": `a,price,size\n${PRICES.map((price, i) => `${i},${price},${SIZES[i]}\n`).join("")}`,
      "t_test.csv": other,
    };
    const memory = await load(files, "t.csv", { ...options, stream: false }).sets();
    const streamed = await load(files, "t.csv", options).sets();
    expect(rowsOf(memory.test as Dataset)).toEqual(near([[250, 1.5]]));
    for (const part of ["train", "test"] as const) {
      const [a, b] = [memory[part], streamed[part]] as Dataset[];
      expect(targetsOf(b as Dataset)?.data).toEqual(targetsOf(a as Dataset)?.data);
    }
  });

  test("a network's description reads them as it was trained, and new samples in the unit of the column", async () => {
    const { path, sets } = load(
      { "t.csv": table(), "new.csv": "colour,size,a,price\nr,0.5,3,321\ng,1,1,?\n" },
      "t.csv",
      {
        labelColumn: "price",
        testFraction: 0.2,
      },
    );
    const { train } = await sets();
    const spec = parsePreprocessing(JSON.parse(JSON.stringify(preprocessingOf(train))), "file");
    expect(spec).toMatchObject({ task: "regression", classes: 1, classNames: ["price"], targets: train.targetScale });
    const again = await loadData(path, { preprocessing: spec, testFraction: 0, labelColumn: "price" });
    expect(rowsOf(again.train)).toEqual(near(PRICES.map((price) => [price])));
    expect(again.train.targetScale).toEqual(train.targetScale);
    const { targets } = await readSamples(path.replace("t.csv", "new.csv"), spec);
    expect(Array.from(targets as Float64Array)).toEqual([321, Number.NaN]);
  });

  test.each<[string, string, LoadDataOptions, string]>([
    [
      "a text",
      table().replace("107.25", "cheap"),
      { labelColumn: "price", task: "regression" },
      'expected a number as target, "price", got "cheap"',
    ],
    [
      "NaN",
      table().replace(",100,", ",nan,"),
      { labelColumn: "price" },
      'line 2: its label, "price", is missing: "nan"',
    ],
    [
      "infinity",
      table().replace(",100,", ",inf,"),
      { labelColumn: "price", task: "regression" },
      'expected a number as target, "price", got "inf"',
    ],
    [
      "beyond float32",
      table().replace(",100,", ",1e300,"),
      { labelColumn: "price" },
      "expected a finite number of float32's range, got 1e+300",
    ],
    [
      "texts for a regression",
      table(),
      { labelColumn: "colour", task: "regression" },
      'expected a number as target, "colour", got "r"',
    ],
    [
      "a label that is 2",
      table((i) => (i < 0 ? ",x,y" : `,${i % 2},${i === 7 ? 2 : 1}`)),
      { labelColumns: ["x", "y"], task: "multi-label" },
      'line 9: its target, "y": expected 0 or 1, got 2',
    ],
    ["a column that is none", table(), { labelColumns: ["price", "prize"] }, "labelColumns: expected a column of"],
    [
      "a column twice",
      table(),
      { labelColumns: ["price", "price"] },
      'labelColumns: expected columns, each once, got "price", "price"',
    ],
    ["both options", table(), { labelColumns: ["price", "size"], labelColumn: "a" }, "one label column is given too"],
    [
      "classes of several columns",
      table(),
      { labelColumns: ["price", "size"], task: "classification" },
      "a classification has one column of classes, got 2",
    ],
    [
      "a task that is none",
      table(),
      { task: "regresion" as never },
      'task: expected one of "classification", "regression"',
    ],
  ])("%s is refused in a line", async (_, content, options, problem) => {
    const { sets } = load({ "t.csv": content }, "t.csv", options);
    const error = await sets().then(
      () => new Error("nothing was thrown"),
      (thrown: Error) => thrown,
    );
    expect(error.message).toContain(problem);
    expect(error.message).not.toContain("\n");
  });
});

describe("the targets of NumPy's arrays", () => {
  const x = npy(
    [30, 2],
    Float64Array.from({ length: 60 }, (_, i) => i % 7),
  );
  const numbers = (shape: number[]) =>
    npy(
      shape,
      Float64Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => i / 3),
    );

  test.each<[string, Uint8Array, string, number]>([
    ["fractions [n]", numbers([30]), "regression", 1],
    ["numbers [n, k]", numbers([30, 3]), "regression", 3],
    [
      "0 and 1 [n, k]",
      npy(
        [30, 2],
        Uint8Array.from({ length: 60 }, (_, i) => Number(i % 5 < 3)),
      ),
      "multi-label",
      2,
    ],
    [
      "whole numbers",
      npy(
        [30],
        Int32Array.from({ length: 30 }, (_, i) => i % 3),
      ),
      "classification",
      3,
    ],
  ])("%s", async (_, y, task, classes) => {
    const { train } = await load({ "x.npy": x, "y.npy": y }, "x.npy").sets();
    expect([train.task ?? "classification", train.classes]).toEqual([task, classes]);
  });

  test("vectors are taken as they are, if that is said", async () => {
    const { train } = await load({ "x.npy": x, "y.npy": numbers([30, 4]) }, "x.npy", { task: "vectors" }).sets();
    expect([train.task, train.classes, train.targetScale]).toEqual(["vectors", 4, undefined]);
    expect(rowsOf(train)[1]).toEqual([4, 5, 6, 7].map((i) => expect.closeTo(i / 3, 6)));
  });

  test.each<[string, Uint8Array, LoadDataOptions, string]>([
    [
      "NaN",
      npy([30], new Float64Array(30).fill(Number.NaN, 4, 5)),
      { task: "regression" },
      "row 4, column 0: expected a finite number of float32's range, got NaN",
    ],
    [
      "three axes",
      numbers([30, 1, 2]),
      { task: "regression" },
      "expected targets of shape [30] or [30, outputs], got [30, 1, 2]",
    ],
    ["too few", numbers([29, 2]), {}, "expected 30 rows of targets, one a sample, got 29"],
    [
      "halves as labels",
      npy([30, 2], new Float64Array(60).fill(0.5)),
      { task: "multi-label" },
      "row 0, column 0: expected 0 or 1, got 0.5",
    ],
    [
      "what may be one-hot",
      npy(
        [30, 2],
        Uint8Array.from({ length: 60 }, (_, i) => i % 2),
      ),
      {},
      "--task multi-label takes them as labels",
    ],
  ])("%s is refused with its place", async (_, y, options, problem) => {
    const { sets, path } = load({ "x.npy": x, "y.npy": y }, "x.npy", options);
    expect(await refusal("BAD_DATA", sets)).toBe(
      `${path.replace("x.npy", "y.npy")}: ${problem}`
        .replace(/: --task/, ": argmax(axis=1) makes classes of one-hot rows; --task")
        .replace(": argmax", ": expected labels of shape [30], got [30, 2]: argmax"),
    );
  });
});

describe("targets in a program", () => {
  const inputs = tensor([[0], [1], [2], [3]]);

  test("a tensor in place of the labels is a regression", () => {
    const data = new TensorDataset(inputs, tensor([2, 4, 6, 8]));
    expect([data.task, data.classes]).toEqual(["regression", 1]);
    expect(data.batch(Int32Array.of(2, 0)).targets?.toArray()).toEqual([[6], [2]]);
    expect(data.slice(1, 3).targets?.toArray()).toEqual([[4], [6]]);
    const other = new TensorDataset(inputs, tensor([2, 4, 6, 9]));
    expect(other.fingerprint()).not.toBe(data.fingerprint());
  });

  test("labels that are undefined are no labels that are left out", async () => {
    for (const options of [{ classes: 1, task: "regression" }, { classes: 2 }, {}] as const) {
      const text = await refusal("BAD_DTYPE", () => new TensorDataset(inputs, undefined as never, options));
      expect(text).toBe("labels: expected an IntTensor or Int32Array, got undefined");
    }
  });

  test("parts of a split are drawn from all samples alike, and keep their targets", () => {
    const data = new TensorDataset(
      tensor(Array.from({ length: 50 }, (_, i) => [i])),
      tensor(Array.from({ length: 50 }, (_, i) => 2 * i)),
    );
    const { train, heldOut } = splitDataset(data, { fraction: 0.2, seed: 1 });
    expect([train.length, heldOut.length]).toEqual([40, 10]);
    const { inputs: own, targets } = heldOut.slice(0, 10);
    expect(Array.from(targets?.data ?? [])).toEqual(Array.from(own.data, (x) => 2 * x));
    expect(splitDataset(data, { fraction: 0.2, seed: 1 }).heldOut.indices).toEqual(heldOut.indices);
  });

  test("whole numbers of several labels, and samples one by one", async () => {
    const hot = new IntTensor(Int32Array.of(0, 1, 1, 1, 0, 0, 1, 0), [4, 2]);
    const data = new TensorDataset(inputs, hot, { task: "multi-label", classNames: ["a", "b"] });
    expect(data.slice(1, 2).targets?.toArray()).toEqual([[1, 1]]);
    const samples = [1, 2, 3].map((i) => ({ input: [i], label: [i, -i] }));
    expect((await fromIterable(samples, { task: "regression" })).slice(2, 3).targets?.toArray()).toEqual([[3, -3]]);
    const uneven = [...samples, { input: [1], label: [1] }];
    await expect(fromIterable(uneven, { task: "regression" })).rejects.toThrow(
      `sample ${samples.length}: label: expected 2 values as in sample 0, got 1`,
    );
  });

  test.each<[string, () => unknown, string]>([
    [
      "NaN",
      () => new TensorDataset(inputs, tensor([[1], [2], [Number.NaN], [4]])),
      "targets[2][0]: expected a finite number of float32's range, got NaN",
    ],
    ["other rows", () => new TensorDataset(inputs, tensor([1, 2, 3])), "targets: expected shape [4], got [3]"],
    [
      "a label of 2",
      () => new TensorDataset(inputs, tensor([0, 1, 2, 0]), { task: "multi-label" }),
      "targets[2][0]: expected 0 or 1, got 2",
    ],
    [
      "fractions as classes",
      () => new TensorDataset(inputs, tensor([0, 1, 2, 0]), { task: "classification" }),
      "labels: expected whole numbers",
    ],
    [
      "other names",
      () => new TensorDataset(inputs, tensor([0, 1, 2, 0]), { classNames: ["a", "b"] }),
      "targets: expected 2 numbers a sample, got 1",
    ],
    [
      "a deviation of 0",
      () => new TensorDataset(inputs, tensor([0, 1, 2, 0]), { targetScale: { mean: [0], std: [0] } }),
      "targetScale.std[0]",
    ],
    [
      "a scale without a deviation",
      () => new TensorDataset(inputs, tensor([0, 1, 2, 0]), { targetScale: { mean: [0] } as never }),
      "targetScale.std: expected a list of 1 numbers, got undefined",
    ],
  ])("%s is refused", (_, make, problem) => {
    expect(make).toThrow(problem);
  });
});
