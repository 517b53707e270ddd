import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { FrozenModel, foldBatchNorm, GraphModule, traceModule } from "../../src/graph/index.js";
import * as D from "../../src/index.js";
import { expectClose } from "../parity/close.js";

interface Stored {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

interface Case {
  readonly name: string;
  readonly args: readonly unknown[];
  readonly options: Readonly<Record<string, unknown>>;
  readonly repr: string;
  /** The next number of the stream after the layer was made. */
  readonly after: number;
  readonly state: Readonly<Record<string, Stored>>;
  readonly moved: Readonly<Record<string, readonly number[]>>;
  readonly x: Stored;
  readonly out: Stored;
  readonly evaluated: readonly number[];
  readonly upstream: readonly number[];
  readonly gradX: readonly number[];
  readonly grads: Readonly<Record<string, readonly number[]>>;
}

const CASES = JSON.parse(readFileSync(new URL("fixtures/conv.json", import.meta.url), "utf8")) as Case[];

const camel = (name: string) => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
const load = ({ values, shape }: Stored, options = {}) => new D.Tensor(Float32Array.from(values), shape, options);

/** Relative to the largest value, as sums of both signs may end near 0. */
function close(got: ArrayLike<number | bigint> | undefined, wanted: readonly number[], what: string): void {
  const values = Array.from(got ?? [], Number);
  expectClose(values, [...wanted], { abs: 2e-6 * Math.max(1, ...wanted.map(Math.abs)) }, what);
}

describe("layers of images equal PyTorch's", () => {
  test.each(CASES.map((one) => [one.repr, one] as const))("%s", (repr, one) => {
    const Layer = (D as unknown as Record<string, new (...args: unknown[]) => D.Module>)[one.name];
    const options = Object.fromEntries(Object.entries(one.options).map(([name, value]) => [camel(name), value]));
    D.manualSeed(7);
    const layer = new Layer(...one.args, ...(Object.keys(options).length > 0 ? [options] : []));
    expect(D.rand([1]).item()).toBe(Math.fround(one.after));
    expect(String(layer).split("\n")[0]).toBe(repr);
    const state = Object.entries(layer.stateDict());
    expect(state.map(([key, { shape }]) => [key, shape])).toEqual(
      Object.entries(one.state).map(([key, { shape }]) => [key, shape]),
    );
    for (const [key, { data }] of state) close(data, one.state[key]?.values ?? [], key);
    const x = load(one.x, { requiresGrad: true });
    D.manualSeed(9);
    const out = layer.forward(x);
    expect(out.shape).toEqual(one.out.shape);
    close(out.data, one.out.values, "out");
    out
      .mul(load({ shape: one.out.shape, values: one.upstream }))
      .sum()
      .backward();
    close(x.grad?.data, one.gradX, "gradient of x");
    for (const [name, { grad }] of layer.namedParameters()) close(grad?.data, one.grads[name] ?? [], name);
    for (const [key, { data }] of Object.entries(layer.stateDict())) close(data, one.moved[key] ?? [], key);
    close(layer.eval().forward(x).data, one.evaluated, "in eval mode");
  });
});

test.each<[string, () => unknown, string, string]>([
  [
    "a kernel larger than its padded input",
    () => new D.Conv2d(3, 4, 7, { padding: 1 }).forward(D.zeros([2, 3, 4, 4])),
    "SHAPE_MISMATCH",
    "conv2d: expected a kernel that fits its padded input: it covers [7, 7] of [6, 6], got x [2, 3, 4, 4] and weight [4, 3, 7, 7]",
  ],
  [
    "a kernel longer than its padded input",
    () => new D.Conv1d(3, 4, 4, { padding: 1, dilation: 3 }).forward(D.zeros([2, 3, 7])),
    "SHAPE_MISMATCH",
    "Conv1d: expected a kernel that fits its padded input: it covers 10 of 9, got x [2, 3, 7] and weight [4, 3, 4]",
  ],
  [
    "other channels",
    () => new D.Conv2d(3, 4, 3).forward(D.zeros([2, 1, 4, 4])),
    "SHAPE_MISMATCH",
    "conv2d: expected x of 3 channels in 1 group, got x [2, 1, 4, 4] and weight [4, 3, 3, 3]",
  ],
  [
    "groups that do not divide",
    () => D.F.conv2d(D.zeros([1, 3, 4, 4]), D.zeros([4, 1, 1, 1]), null, { groups: 2 }),
    "SHAPE_MISMATCH",
    "conv2d: expected channels and outputs that 2 groups divide, got x [1, 3, 4, 4] and weight [4, 1, 1, 1]",
  ],
  [
    "groups that do not divide, in a layer",
    () => new D.Conv2d(3, 4, 3, { groups: 2 }),
    "BAD_ARGUMENT",
    "groups: expected a number that divides inChannels (3) and outChannels (4), got 2",
  ],
  [
    "rows for images",
    () => new D.Conv2d(3, 4, 3).forward(D.zeros([2, 48])),
    "SHAPE_MISMATCH",
    "conv2d: expected x [images, channels, height, width], got x [2, 48] and weight [4, 3, 3, 3]",
  ],
  [
    "a bias of another length",
    () => D.F.conv2d(D.zeros([1, 1, 2, 2]), D.zeros([2, 1, 1, 1]), D.zeros([3])),
    "SHAPE_MISMATCH",
    "conv2d: bias: expected shape [2], got [3]",
  ],
  [
    "three strides",
    () => new D.Conv2d(1, 1, 1, { stride: [1, 2, 3] as never }),
    "BAD_ARGUMENT",
    "stride: expected a number, or one for rows and one for columns, got [1, 2, 3]",
  ],
  [
    "a stride with padding that keeps the size",
    () => new D.Conv2d(1, 1, 3, { padding: "same", stride: [1, 2] }),
    "BAD_ARGUMENT",
    'padding: "same" needs stride 1, got 2',
  ],
  [
    "a stride with padding that keeps the length",
    () => new D.Conv1d(1, 1, 3, { padding: "same", stride: 3 }),
    "BAD_ARGUMENT",
    'padding: "same" needs stride 1, got 3',
  ],
  [
    "padding of another name",
    () => D.F.conv2d(D.zeros([1, 1, 2, 2]), D.zeros([1, 1, 1, 1]), null, { padding: "full" as never }),
    "BAD_ARGUMENT",
    'padding: expected "same" or "valid", got "full"',
  ],
  ["a stride of 0", () => new D.Conv2d(1, 1, 1, { stride: 0 }), "BAD_ARGUMENT", "stride: expected a whole number"],
  [
    "a window larger than its padded input",
    () => new D.MaxPool2d(5).forward(D.zeros([1, 2, 4, 4])),
    "SHAPE_MISMATCH",
    "maxPool2d: expected a kernel that fits its padded input, got x [1, 2, 4, 4] and kernel [5, 5]",
  ],
  [
    "a window longer than its padded sequence",
    () => new D.AvgPool1d(5).forward(D.zeros([1, 2, 4])),
    "SHAPE_MISMATCH",
    "AvgPool1d: expected a kernel that fits its padded input: it covers 5 of 4, got x [1, 2, 4]",
  ],
  [
    "sequences that are images",
    () => new D.MaxPool1d(2).forward(D.zeros([1, 2, 4, 4])),
    "SHAPE_MISMATCH",
    "MaxPool1d: x: expected shape [*, *, *], got [1, 2, 4, 4]",
  ],
  [
    "padding above half of a sequence's kernel",
    () => new D.MaxPool1d(3, { padding: 2 }),
    "BAD_ARGUMENT",
    "padding: expected at most 1, half of the kernel, got 2",
  ],
  ["two sizes", () => new D.MaxPool1d([2, 2] as never), "BAD_ARGUMENT", "kernelSize: expected a whole number"],
  [
    "padding above half of the kernel",
    () => new D.AvgPool2d(3, { padding: 2 }),
    "BAD_ARGUMENT",
    "padding: expected at most 1, half of the kernel, got 2",
  ],
  [
    "a batch of other channels",
    () => new D.BatchNorm2d(3).forward(D.zeros([2, 4, 2, 2])),
    "SHAPE_MISMATCH",
    "BatchNorm2d: x: expected shape [*, 3, *, *], got [2, 4, 2, 2]",
  ],
  [
    "one value a channel in train mode",
    () => new D.BatchNorm2d(3).forward(D.zeros([1, 3, 1, 1])),
    "BATCH_TOO_SMALL",
    "expected more than 1 value per channel when training",
  ],
])("%s is refused", (_, call, code, message) => {
  expect(call).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }));
});

test("the same bits at any number of threads", () => {
  const threads = D.getNumThreads();
  const run = (count: number) => {
    D.setNumThreads(count);
    D.manualSeed(3);
    const layers = new D.Sequential(
      ...[new D.Conv2d(3, 20, 3, { padding: 1 }), new D.BatchNorm2d(20), new D.ReLU(), new D.MaxPool2d(2)],
      ...[new D.Conv2d(20, 20, 3, { groups: 20 }), new D.Conv2d(20, 24, 1, { stride: 2 }), new D.AdaptiveAvgPool2d(1)],
    );
    const x = D.randn([12, 3, 32, 32], { requiresGrad: true });
    const out = layers.forward(x);
    out.mul(out).sum().backward();
    return [out.data, x.grad?.data, ...layers.parameters().map(({ grad }) => grad?.data)];
  };
  try {
    const one = run(1);
    for (const count of [2, 5]) expect(run(count)).toEqual(one);
  } finally {
    D.setNumThreads(threads);
  }
});

test("BatchNorm2d folds into a convolution before it, with and without groups", () => {
  D.manualSeed(1);
  const network = new D.Sequential(
    ...[new D.Conv2d(2, 4, 3, { groups: 2, bias: false }), new D.BatchNorm2d(4), new D.ReLU()],
    ...[new D.Conv2d(4, 4, 2), new D.BatchNorm2d(4), new D.Flatten()],
  );
  for (let i = 0; i < 3; i++) network.forward(D.randn([5, 2, 5, 5]).mul(2).add(1));
  const x = D.randn([3, 2, 5, 5]);
  const expected = D.noGrad(() => network.eval().forward(x));
  const folded = new GraphModule(foldBatchNorm(traceModule(network, [2, 5, 5], { training: false })));
  close(folded.forward(x).data, [...expected.data], "logits");
});

test("padding that keeps the size, of even kernels, has the same values traced, folded and frozen", () => {
  D.manualSeed(1);
  const padding = "same";
  const network = new D.Sequential(
    ...[new D.Conv2d(2, 4, [4, 3], { padding, bias: false }), new D.BatchNorm2d(4), new D.ReLU()],
    ...[new D.Conv2d(4, 4, 2, { padding, dilation: 3 }), new D.ReLU(), new D.Flatten()],
  );
  for (let i = 0; i < 3; i++) network.forward(D.randn([5, 2, 5, 6]).mul(2).add(1));
  const x = D.randn([3, 2, 5, 6]);
  const expected = D.noGrad(() => network.eval().forward(x));
  expect(expected.shape).toEqual([3, 4 * 5 * 6]);
  const traced = traceModule(network, [2, 5, 6], { training: false });
  expect(new GraphModule(traced).forward(x).data).toEqual(expected.data);
  close(new GraphModule(foldBatchNorm(traced)).forward(x).data, [...expected.data], "folded");
  const frozen = FrozenModel.from(network, [2, 5, 6], { training: false });
  const generator = new D.Generator(1);
  frozen.enqueue(x, generator);
  close(frozen.take(x, generator).output.data, [...expected.data], "frozen");
});

const { AdaptiveAvgPool2d, Conv2d, F, ones, tensor, Upsample, zeros } = D;

describe("extreme options", () => {
  const x = ones([2, 4, 6, 6]);
  const weight = ones([4, 4, 3, 3]);

  test("a stride beyond the input costs no memory: one output", () => {
    const inputs = ones([2, 4, 6, 6], { requiresGrad: true });
    const y = F.conv2d(inputs, weight, null, { stride: 2 ** 31 - 1 });
    expect([y.shape, [...y.data]]).toEqual([[2, 4, 1, 1], Array(8).fill(36)]);
    y.sum().backward();
    expect(inputs.grad?.data.slice(0, 6)).toEqual(Float32Array.of(4, 4, 4, 0, 0, 0));
  });

  test("channels without rows, of which padding makes outputs: the bias, and an empty gradient", () => {
    const inputs = zeros([1, 2, 0, 3], { requiresGrad: true });
    const kernel = ones([2, 1, 1, 3], { requiresGrad: true });
    const y = F.conv2d(inputs, kernel, tensor([1, 2]), { padding: 1, groups: 2 });
    expect([y.shape, [...y.data]]).toEqual([
      [1, 2, 2, 3],
      [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2],
    ]);
    y.sum().backward();
    expect(inputs.grad?.shape).toEqual([1, 2, 0, 3]);
    expect([...(kernel.grad as D.Tensor).data]).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test.each([1, 2])("a window that lies in the padding of %i columns as a whole has no largest element", (columns) => {
    const inputs = ones([1, 1, 2, columns], { requiresGrad: true });
    const options = { stride: [1, 3], padding: [0, 1], dilation: [1, 3], ceilMode: true } as const;
    const y = F.maxPool2d(inputs, [1, 2], options);
    expect([y.shape, [...y.data]]).toEqual([
      [1, 1, 2, 1],
      [-Infinity, -Infinity],
    ]);
    y.sum().backward();
    expect(inputs.grad?.data).toEqual(new Float32Array(2 * columns));
  });

  test.each([
    ["SHAPE_MISMATCH", () => F.conv2d(x, zeros([0, 4, 3, 3])), "a weight of at least one output"],
    ["BAD_ARGUMENT", () => F.conv2d(x, weight, null, { padding: 2 ** 30 }), "conv2d: output"],
    ["BAD_ARGUMENT", () => new Conv2d(2 ** 31 - 1, 2 ** 31 - 1, 3), "weight"],
    [
      "BAD_ARGUMENT",
      () => F.conv2d(x, weight, null, { padding: 2 ** 12, stride: 2 ** 13 }),
      "at most 2^20 elements in",
    ],
    ["BAD_ARGUMENT", () => new AdaptiveAvgPool2d(2 ** 20).forward(x), "adaptiveAvgPool2d: output"],
    ["BAD_ARGUMENT", () => new AdaptiveAvgPool2d([2 ** 30, 1]).forward(x), "outputSize[0]"],
    ["BAD_ARGUMENT", () => new Upsample({ scaleFactor: 1e9 }).forward(x), "Upsample: output"],
    ["SHAPE_MISMATCH", () => new Upsample({ scaleFactor: 0.01 }).forward(x), "at least one row and column, got [0, 0]"],
  ])("%s %#", (code, make, text) => {
    expect(make).toThrow(expect.objectContaining({ code, message: expect.stringContaining(text) }));
  });
});

test.each([
  [10, 1.05, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
  [7, 1.01, [0, 1, 2, 3, 4, 5, 6]],
  [5, 2.1, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]],
  [3, 2.3, [0, 0, 1, 1, 2, 2]],
])("Upsample of %i columns by %f takes the columns that PyTorch takes", (columns, scaleFactor, expected) => {
  const x = tensor(
    Float32Array.from({ length: columns }, (_, i) => i),
    { shape: [1, 1, 1, columns] },
  );
  expect([...new Upsample({ scaleFactor: [1, scaleFactor] }).forward(x).data]).toEqual(expected);
});
