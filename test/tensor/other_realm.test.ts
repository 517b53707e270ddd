import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import {
  crossEntropy,
  DataLoader,
  defineFunction,
  distill,
  encodeSamples,
  F,
  ImageDataset,
  IntTensor,
  Linear,
  LongTensor,
  manualSeed,
  Parameter,
  SGD,
  StepLR,
  Subset,
  step,
  Tensor,
  TensorDataset,
  tensor,
  zeros,
} from "../../src/index.js";

// As in Jest's environment: other globals than those that the library was loaded with.
const other = <T>(source: string): T => runInNewContext(source) as T;
const floats = () => other<Float32Array>("Float32Array.of(1, 2, 3, 4)");
const ints = () => other<Int32Array>("Int32Array.of(1, 0)");

test("typed arrays of another realm are what they are", () => {
  expect(floats()).not.toBeInstanceOf(Float32Array);
  expect(new Tensor(floats(), [2, 2]).toArray()).toEqual([
    [1, 2],
    [3, 4],
  ]);
  expect(
    tensor(floats(), { shape: [4] })
      .sum()
      .item(),
  ).toBe(10);
  expect(new IntTensor(ints()).toArray()).toEqual([1, 0]);
  expect(new LongTensor(other("BigInt64Array.of(5n)")).item()).toBe(5);
  const logits = new Tensor(floats(), [2, 2], { requiresGrad: true });
  crossEntropy(logits, ints()).backward();
  expect(logits.grad?.shape).toEqual([2, 2]);
  expect(F.nllLoss(logits, ints()).item()).toBe(-2.5);
});

test("so do data sets, loaders and preprocessing take them", () => {
  const data = new TensorDataset(new Tensor(floats(), [2, 2]), ints());
  expect(new Subset(data, ints()).slice(0, 1).labels.toArray()).toEqual([0]);
  expect(data.batch(ints()).inputs.toArray()).toEqual([
    [3, 4],
    [1, 2],
  ]);
  expect([...new DataLoader(data, { batchSize: 2 }).epochFrom(ints())][0]?.labels.toArray()).toEqual([0, 1]);
  const pixels = new ImageDataset(other("Uint8Array.of(0, 255)"), ints(), { features: 1, mean: 0, std: 1 });
  expect(pixels.slice(0, 2).inputs.toArray()).toEqual([[0], [1]]);
  expect(encodeSamples({ kind: "values", features: 2, classes: 2, classNames: null }, floats()).shape).toEqual([2, 2]);
});

test("gradients, states and promises of another realm", async () => {
  const double = defineFunction({
    name: "double",
    forward: (_, x) => x.mul(2),
    backward: () => [new Tensor(floats(), [4])],
  });
  const x = new Tensor(floats(), [4], { requiresGrad: true });
  double(x).sum().backward();
  expect(x.grad?.toArray()).toEqual([1, 2, 3, 4]);

  const parameters = () => new Linear(2, 2).parameters();
  const sgd = new SGD(parameters(), { lr: 1, momentum: 0.9 });
  const state = { ...sgd.stateDict(), state: other("new Map()") };
  expect(() => sgd.loadStateDict(state as never)).not.toThrow();
  expect(new StepLR(sgd, { stepSize: 1 }).getLastLr()).toEqual([1]);

  expect(() => step(() => other<Promise<number>>("Promise.resolve(1)"))).toThrow("is not async");
  manualSeed(0);
  const data = new TensorDataset(new Tensor(floats(), [2, 2]), ints());
  const teacher = () => other<(value: Tensor) => Promise<Tensor>>("async (value) => value")(zeros([2, 2]));
  const { history } = await distill({ teacher, student: new Linear(2, 2), data, epochs: 1, batchSize: 2 });
  expect(history).toHaveLength(1);
});

test("what is no typed array is refused as before", () => {
  for (const value of [Object.create(Float32Array.prototype), [1, 2], { length: 2 }, null]) {
    expect(() => new Tensor(value as never, [2])).toThrow(expect.objectContaining({ code: "BAD_DTYPE" }));
  }
  const missing = undefined as never;
  for (const make of [() => new Tensor(missing), () => new Parameter(missing), () => new IntTensor(missing)]) {
    expect(make).toThrow(
      expect.objectContaining({ code: "BAD_DTYPE", message: expect.stringMatching(/^data: .*undefined/) }),
    );
  }
  expect(() => new Tensor(other("Float64Array.of(1)"))).toThrow(
    "expected a Float32Array, got a value of type Float64Array",
  );
});
