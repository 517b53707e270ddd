import { describe, expect, test } from "vitest";
import { fromIterable, type Sample } from "../../src/data/index.js";
import { tensor } from "../../src/tensor/tensor.js";
import { refusal } from "./support.js";

const samples: Sample[] = [
  { input: [0.5, 1], label: 2 },
  { input: Float64Array.of(3, 4), label: 0 },
  { input: tensor([[5], [6]]), label: 1 },
];
const rows = [
  [0.5, 1],
  [3, 4],
  [5, 6],
];

async function* later(): AsyncGenerator<Sample> {
  for (const sample of samples) {
    await new Promise(setImmediate);
    yield sample;
  }
}

describe("samples become a data set", () => {
  test.each<[string, () => Iterable<Sample> | AsyncIterable<Sample>]>([
    ["of a list", () => samples],
    ["of a generator", () => samples.values()],
    ["of an async generator", later],
  ])("%s", async (_, of) => {
    const dataset = await fromIterable(of());
    const { inputs, labels } = dataset.slice(0, 3);
    expect([inputs.toArray(), labels.toArray()]).toEqual([rows, [2, 0, 1]]);
    expect([dataset.name, dataset.length, dataset.features, dataset.classes]).toEqual(["samples", 3, 2, 3]);
  });

  test("values are copied", async () => {
    const input = Float32Array.of(1, 2);
    const dataset = await fromIterable([{ input, label: 0 }]);
    input.fill(9);
    expect(dataset.inputs.toArray()).toEqual([[1, 2]]);
  });

  test("with its classes and name", async () => {
    const named = await fromIterable(samples, { classes: 7, name: "flowers" });
    expect([named.classes, named.name]).toEqual([7, "flowers"]);
    expect((await fromIterable(samples, { classNames: ["a", "b", "c", "d"] })).classes).toBe(4);
  });
});

test("samples without a label, and targets, whose elements are numbers", async () => {
  const some = [...samples, { input: [1, 2], label: -1 }];
  const { labels, classes } = await fromIterable(some, { unlabelled: true });
  expect([Array.from(labels), classes]).toEqual([[2, 0, 1, -1], 3]);
  const targets = await fromIterable([{ input: [1], label: Float32Array.of(0.5, 2) }], { task: "regression" });
  expect(targets.slice(0, 1).targets?.toArray()).toEqual([[0.5, 2]]);
  const vector = Float32Array.from({ length: 200_000 }, (_, i) => i);
  const long = await fromIterable(
    [1, 2].map((x) => ({ input: [x], label: vector })),
    { task: "vectors" },
  );
  expect(long.slice(1, 2).targets?.data).toEqual(vector);
  for (const label of ["12", ["1", 2], null]) {
    const text = await refusal("BAD_DTYPE", () =>
      fromIterable([{ input: [1], label: label as never }], { task: "regression" }),
    );
    expect(text).toMatch(/^sample 0: label: expected a number or several, got /);
  }
});

describe("refused", () => {
  const ending = (sample: unknown, options?: object) => fromIterable([...samples, sample as Sample], options);
  const input = [1, 2];
  test.each<[string, () => unknown, string]>([
    ["BAD_DTYPE", () => fromIterable(7 as never), "samples: expected an (async) iterable, got 7"],
    ["BAD_DTYPE", () => fromIterable(null as never), "samples: expected an (async) iterable, got null"],
    ["BAD_ARGUMENT", () => fromIterable([]), "samples: expected at least one, got none"],
    [
      "BAD_ARGUMENT",
      () => fromIterable([], { classes: 0 }),
      "classes: expected a whole number from 1 to 2147483647, got 0",
    ],
    ["BAD_DTYPE", () => ending(null), "sample 3: input: expected numbers or a Tensor, got undefined"],
    ["BAD_DTYPE", () => ending({ input: 5, label: 0 }), "sample 3: input: expected numbers or a Tensor, got 5"],
    ["BAD_DTYPE", () => ending({ input: "12", label: 0 }), 'sample 3: input: expected numbers or a Tensor, got "12"'],
    [
      "BAD_DTYPE",
      () => ending({ input: {}, label: 0 }),
      "sample 3: input: expected numbers or a Tensor, got a value of type Object",
    ],
    ["BAD_DTYPE", () => ending({ input: [1, "2"], label: 0 }), 'sample 3: input[1]: expected a number, got "2"'],
    [
      "BAD_DTYPE",
      () => ending({ input: BigInt64Array.of(1n, 2n), label: 0 }),
      "sample 3: input[0]: expected a number, got 1n",
    ],
    [
      "SHAPE_MISMATCH",
      () => ending({ input: [1], label: 0 }),
      "sample 3: input: expected 2 values as in sample 0, got 1",
    ],
    [
      "BAD_ARGUMENT",
      () => ending({ input: [], label: 0 }),
      "sample 3: input.length: expected a whole number from 1 to 2147483647, got 0",
    ],
    [
      "BAD_ARGUMENT",
      () => ending({ input: { length: 1e12 }, label: 0 }),
      "sample 3: input.length: expected a whole number from 1 to 2147483647, got 1000000000000",
    ],
    [
      "NON_FINITE",
      () => ending({ input: [1, Number.NaN], label: 0 }),
      "sample 3: input[1]: expected a finite number in single precision, got NaN",
    ],
    [
      "NON_FINITE",
      () => ending({ input: [1e39, 0], label: 0 }),
      "sample 3: input[0]: expected a finite number in single precision, got 1e+39",
    ],
    [
      "LABEL_OUT_OF_RANGE",
      () => ending({ input, label: 3 }, { classes: 3 }),
      "sample 3: label: expected a class from 0 to 2, got 3",
    ],
    [
      "LABEL_OUT_OF_RANGE",
      () => ending({ input, label: -1 }),
      "sample 3: label: expected a class from 0 to 2147483646, got -1",
    ],
    [
      "LABEL_OUT_OF_RANGE",
      () => ending({ input, label: 0.5 }),
      "sample 3: label: expected a class from 0 to 2147483646, got 0.5",
    ],
    [
      "LABEL_OUT_OF_RANGE",
      () => ending({ input }, { classNames: ["a", "b", "c"] }),
      "sample 3: label: expected a class from 0 to 2, got undefined",
    ],
  ])("%s %#", async (code, body, text) => {
    expect(await refusal(code, body)).toBe(text);
  });

  test("a failure of the iterable is the caller's own", async () => {
    async function* failing(): AsyncGenerator<Sample> {
      yield samples[0];
      throw new RangeError("connection lost");
    }
    await expect(fromIterable(failing())).rejects.toThrow(new RangeError("connection lost"));
  });
});
