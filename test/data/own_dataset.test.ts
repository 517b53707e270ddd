import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  augment,
  type Batch,
  DataLoader,
  type Dataset,
  distill,
  evaluate,
  IntTensor,
  LeNet300,
  Linear,
  labelsOf,
  loadNetwork,
  readPreprocessing,
  Subset,
  splitDataset,
  type TrainTeacherInput,
  tensor,
  trainTeacher,
  zeros,
} from "../../src/index.js";
import { failure, temporaryFolder } from "../support.js";
import { refusal } from "./support.js";

const folder = temporaryFolder();

/** A data set of ten samples of three values and two classes that gives `wrong` in place of what it should. */
function own(wrong: Record<string, unknown> | null | ((batch: Batch) => unknown)): Dataset {
  const give = (indices: Int32Array): Batch => {
    const n = indices.length;
    const batch: Batch = { inputs: zeros([n, 3]), labels: new IntTensor(new Int32Array(n)), indices };
    if (typeof wrong === "function") return wrong(batch) as Batch;
    return (wrong === null ? null : { ...batch, ...wrong }) as Batch;
  };
  return {
    name: "mine",
    length: 10,
    features: 3,
    classes: 2,
    batch: give,
    slice: (start, end) => give(Int32Array.from({ length: end - start }, (_, i) => start + i)),
    fingerprint: () => "0",
  };
}

const promised = own(async (batch) => batch);
const ints = (...values: number[]) => new IntTensor(Int32Array.from(values));

describe("a batch that is not what its data set says is an error that names both", () => {
  test.each<[dataset: Dataset, code: string, text: string]>([
    [own(null), "BAD_DTYPE", "expected inputs, labels and indices, got null"],
    [own(() => undefined), "BAD_DTYPE", "expected inputs, labels and indices, got undefined"],
    [own(() => 7), "BAD_DTYPE", "expected inputs, labels and indices, got 7"],
    [promised, "BAD_DTYPE", "expected inputs, labels and indices, got a promise: it can't be async"],
    [own({ inputs: [[1, 2, 3]] }), "BAD_DTYPE", "inputs: expected a Tensor, got a value of type Array"],
    [own({ inputs: zeros([4, 5]) }), "SHAPE_MISMATCH", "inputs: expected shape [4, 3], got [4, 5]"],
    [own({ inputs: zeros([3, 4]) }), "SHAPE_MISMATCH", "inputs: expected shape [4, 3]"],
    [own({ inputs: zeros([5, 3]) }), "SHAPE_MISMATCH", "inputs: expected shape [4, 3]"],
    [
      own({ labels: Int32Array.of(0, 1, 0, 1) }),
      "BAD_DTYPE",
      "labels: expected an IntTensor, got a value of type Int32Array",
    ],
    [own({ labels: ints(0, 1, 0) }), "SHAPE_MISMATCH", "labels: expected shape [4], got [3]"],
    [
      own({ labels: ints(0, 1, 2, 0) }),
      "LABEL_OUT_OF_RANGE",
      "labels[2]: expected a class from 0 to 1, as its classes say, got 2",
    ],
    [
      own({ labels: ints(0, 1, -1, 0) }),
      "LABEL_OUT_OF_RANGE",
      "labels[2]: expected a class from 0 to 1, as its classes say, got -1",
    ],
    [
      own((batch) => ({ ...batch, mixed: { labels: batch.labels, weight: 5 } })),
      "BAD_ARGUMENT",
      "mixed.weight: expected a number from 0 to 1, got 5",
    ],
    [own({ indices: undefined }), "BAD_DTYPE", "indices: expected an Int32Array of 4, got undefined"],
  ])("%#", (dataset, code, text) => {
    const first = (loader: DataLoader) => () => loader.epoch().batch(0);
    const message = (call: string) => expect.stringContaining(`data set "mine": ${call}: ${text}`);
    expect(first(new DataLoader(dataset, { batchSize: 4 }))).toThrow(
      expect.objectContaining({ code, message: message("slice(0, 4)") }),
    );
    expect(() => new DataLoader(dataset, { batchSize: 4 }).epochFrom(null).batch(1)).toThrow("slice(4, 8)");
    expect(() => new Subset(dataset, Int32Array.of(9, 3, 5, 0)).slice(0, 4)).toThrow(
      expect.objectContaining({ code, message: message("batch([9, 3, 5, ... 4 indices])") }),
    );
    expect(() => augment(dataset, { noise: 0.1 }).batch(Int32Array.of(9, 3, 5, 0))).toThrow("batch([9, 3, 5, ... 4");
    expect(first(new DataLoader(dataset, { batchSize: 4, shuffle: true }))).toThrow('data set "mine": batch([');
  });

  test("wherever the library reads one", async () => {
    const net = () => new Linear(3, 2);
    const bad = own({ labels: null });
    expect(() => labelsOf(bad)).toThrow('data set "mine": slice(0, 10): labels: expected an IntTensor, got null');
    expect(() => splitDataset(bad, { fraction: 0.5 })).toThrow('data set "mine": slice(0, 10)');
    expect(() => evaluate(net(), bad)).toThrow('data set "mine": slice(0, 10)');
    const run = distill({ teacher: net(), student: net(), data: own(null), epochs: 1, batchSize: 4 });
    await expect(run).rejects.toMatchObject({
      code: "BAD_DTYPE",
      message: expect.stringMatching(/data set "mine": (slice|batch)\(/),
    });
  });

  test("one that is as it says is taken, images too", () => {
    const valuesOf = (i: number) => [i, i / 2, -i];
    const give = ({ indices }: Batch, sample: number[]) => ({
      indices,
      labels: new IntTensor(indices.map((i) => i % 2)),
      inputs: tensor(Float32Array.from([...indices].flatMap(valuesOf)), { shape: [indices.length, ...sample] }),
    });
    for (const shape of [[3], [1, 3, 1]]) {
      const dataset = { ...own((batch) => give(batch, shape)), ...(shape.length > 1 && { shape }) };
      const batches = [...new DataLoader(dataset, { batchSize: 4 })];
      const parts = [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9],
      ];
      expect(batches.map(({ inputs }) => inputs.shape)).toEqual(parts.map((part) => [part.length, ...shape]));
      expect(batches.map(({ inputs }) => [...inputs.data])).toEqual(parts.map((part) => part.flatMap(valuesOf)));
      expect(batches.map(({ labels }) => labels.toArray())).toEqual(parts.map((part) => part.map((i) => i % 2)));
    }
  });
});

describe("what a data set says of itself", () => {
  const sound = own({});
  const train = (changed: object, out?: string, more: Partial<TrainTeacherInput> = {}) =>
    trainTeacher({
      model: new LeNet300({ inFeatures: 3, classes: 2 }),
      data: { ...sound, ...changed },
      epochs: 1,
      batchSize: 5,
      ...(out !== undefined && { out }),
      ...more,
    });

  test.each<[changed: object, text: string]>([
    [{ features: undefined }, "dataset.features: expected a whole number from 1 to 2147483647, got undefined"],
    [{ classes: "2" }, 'dataset.classes: expected a whole number from 1 to 2147483647, got "2"'],
    [{ shape: [4] }, "dataset.shape: expected the shape of a sample of 3 values, got [4]"],
    [{ shape: "x" }, 'dataset.shape: expected a list of lengths, got "x"'],
    [{ task: "regresion" }, "dataset.task: expected "],
    [{ name: {} }, "dataset.name: expected a text, got a value of type Object"],
  ])("is checked where it is taken: %o", async (changed, text) => {
    const dataset = { ...sound, ...changed } as Dataset;
    expect(await refusal("BAD_ARGUMENT", () => new DataLoader(dataset))).toContain(text);
  });

  test.each<[changed: object, text: string]>([
    [{ classNames: ["a"] }, "data.classNames: expected 2 names, got 1"],
    [{ classNames: "ab" }, 'data.classNames: expected a list of texts, got "ab"'],
    [{ classNames: ["a", "a"] }, "data.classNames: expected each text once"],
    [{ values: { mean: [1], std: [1] } }, "data.mean: expected 3 numbers, one a column, got 1"],
    [{ values: { means: [1, 1, 1] } }, 'data: unknown option "means", did you mean mean?'],
    [{ values: { mean: [Number.NaN, 0, 0], std: [1, 1, 1] } }, "data.mean.0: expected a finite number, got null"],
    [{ image: { channels: 1, height: 1, width: 3 } }, "data.mean: needed"],
    [{ targetScale: { mean: [0], std: [0] } }, "data.targets.std.0: expected a number above 0, got 0"],
  ])("is checked before the first step if a network's file keeps it: %o", async (changed, text) => {
    const onStep = () => expect.unreachable();
    const { message } = await failure(train(changed, undefined, { onStep }), "BAD_ARGUMENT");
    expect(message).toContain(text);
  });

  test("images that are no samples", async () => {
    const image = { channels: 1, height: 2, width: 2, mean: [0], std: [1] };
    const { message } = await failure(train({ image }), "SHAPE_MISMATCH");
    expect(message).toBe("data: its image has 4 values a sample, and its features are 3");
  });

  test("a fingerprint of any text: files are read, and other data are told", async () => {
    const out = join(folder, "text");
    await train({ fingerprint: () => "my data, v1" }, out);
    const file = join(out, "teacher.safetensors");
    await loadNetwork(file);
    expect((await readPreprocessing(file))?.classes).toBe(2);
    const again = train({ fingerprint: () => "my data, v2" }, out, { resume: true, epochs: 2 });
    expect((await failure(again, "BAD_CONFIG")).message).toContain("the training data have changed");
  });

  test("a fingerprint that is no text is refused before the folder is made", async () => {
    for (const [fingerprint, got] of [
      [() => Promise.reject(new Error("later")), "got a promise"],
      [() => undefined, "got undefined"],
    ] as const) {
      const out = join(folder, "none");
      const { message } = await failure(train({ fingerprint }, out), "BAD_DTYPE");
      expect(message).toBe(`data set "mine": fingerprint(): expected a text, ${got}`);
      expect(existsSync(out)).toBe(false);
    }
    const { message } = await failure(train({ fingerprint: undefined }, join(folder, "none")), "BAD_DTYPE");
    expect(message).toBe('data set "mine": fingerprint(): expected a function, got undefined');
  });

  test("a teacher's likewise", async () => {
    const teacher = {
      name: "mine",
      fingerprint: async () => "x" as never,
      outputs: () => ({ logits: zeros([5, 2]), taps: {} }),
    };
    const run = distill({
      teacher: teacher as never,
      student: new Linear(3, 2),
      data: sound,
      epochs: 1,
      batchSize: 5,
      out: join(folder, "teacher"),
    });
    const text = 'teacher "mine": fingerprint(): expected a text or null, got a promise';
    expect((await failure(run, "BAD_DTYPE")).message).toBe(text);
  });
});
