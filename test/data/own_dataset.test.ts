import { describe, expect, test } from "vitest";
import {
  augment,
  type Batch,
  DataLoader,
  type Dataset,
  distill,
  evaluate,
  IntTensor,
  Linear,
  labelsOf,
  Subset,
  splitDataset,
  zeros,
} from "../../src/index.js";

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
    [
      own({ inputs: zeros([4, 5]) }),
      "SHAPE_MISMATCH",
      "inputs: expected shape [4, 3], as its features say, got [4, 5]",
    ],
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
    const images = { ...own((batch) => ({ ...batch, inputs: batch.inputs.reshape([-1, 1, 3, 1]) })), shape: [1, 3, 1] };
    for (const dataset of [own({}), images]) expect([...new DataLoader(dataset, { batchSize: 4 })]).toHaveLength(3);
  });
});
