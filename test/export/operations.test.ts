import { describe, expect, test } from "vitest";
import { exportedGraph } from "../../src/export/index.js";
import { GraphModule } from "../../src/graph/index.js";
import {
  BatchNorm1d,
  cat,
  exportOnnx,
  F,
  Linear,
  Module,
  manualSeed,
  matmul,
  ones,
  ReLU,
  randn,
  Sequential,
  StudentNet,
  type Tensor,
  zeros,
} from "../../src/index.js";
import { MODULES, Tied } from "../nn/networks.js";
import { expectAsForward, networksOf, OPERATIONS } from "../ops/support.js";
import { Everything, lived, Of } from "./networks.js";
import { logitsOf, opTypes, relativeError, run } from "./support.js";

manualSeed(1);
const CLOSE = 1e-5;
const TOKEN = randn([2, 3]);

/** Of functions that are refused, wholly or for some arguments: how many cases, and why. */
const REFUSED: Readonly<Record<string, [cases: number, reason: RegExp]>> = {
  where: [4, /the operation "where"/],
  cosineEmbeddingLoss: [11, /the operation "where"/],
  topk: [5, /a tensor changes with the batch/],
  cumsum: [12, /the operation "cumsum"/],
  gather: [3, /the operation "gather"/],
  scatter: [2, /the operation "scatter"/],
  nllLoss: [21, /the operation "gather"/],
  crossEntropy: [30, /the operation "gather"/],
  klDiv: [4, /the operation "xLogX"/],
  slice: [3, /takes rows out of the batch/],
  split: [1, /takes rows out of the batch/],
  avgPool2d: [5, /the windows of a pooling differ in size, or have a divisor of their own/],
  adaptiveAvgPool2d: [3, /the windows of a pooling differ in size/],
};

test.each(OPERATIONS)("ONNX Runtime computes what %s does, or it is refused", async (name) => {
  const [refused, reason] = REFUSED[name] ?? [0, /^$/];
  let count = 0;
  for (const one of networksOf(name)) {
    const { network, x, text } = one;
    // ONNX Runtime's ReduceMax and ReduceMin leave NaN out; a length of 0 is no network's.
    const isLeftOut = /^(max|min)$/.test(name) && x.data.some(Number.isNaN);
    if (isLeftOut || network.inputs.some(({ size }) => size === 0)) continue;
    let bytes: Uint8Array;
    try {
      bytes = exportOnnx(network, { features: x.size });
    } catch (error) {
      expect((error as Error).message, text).toMatch(reason);
      count++;
      continue;
    }
    expectAsForward((await run(bytes, x.data, x.size, 1)).data, one);
  }
  expect(count).toBe(refused);
});

describe("every operation at once", () => {
  const network = lived(new Everything(), 12);
  const x = randn([1000, 12]);

  test.each([13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24])("in opset %i", async (opset) => {
    const { data } = await run(exportOnnx(network, { opset }), x.slice(0, 70).data, 12, 7);
    expect(relativeError(data, logitsOf(network, x.slice(0, 70)).data, 4)).toBeLessThan(CLOSE);
  });

  test.each([1, 7, 1000])("%i rows at a time", async (batch) => {
    const { data, dims } = await run(exportOnnx(network), x.data, 12, batch);
    expect(dims).toEqual([batch === 7 ? 1000 % 7 : batch, 4]);
    expect(relativeError(data, logitsOf(network, x).data, 4)).toBeLessThan(CLOSE);
  });

  test("in 8 bits: the weights of both forms of the matrix product", async () => {
    const bytes = exportOnnx(network, { quantize: "int8" });
    expect(opTypes(bytes).filter((type) => type === "DequantizeLinear")).toHaveLength(4);
    const ours = logitsOf(new GraphModule(exportedGraph(network, { quantize: "int8" })), x);
    const { data } = await run(bytes, x.data, 12, 1000);
    expect(relativeError(data, ours.data, 4)).toBeLessThan(CLOSE);
  });

  test("its nodes", () => {
    expect(opTypes(exportOnnx(network)).join(" ")).toBe(
      "BatchNormalization Gemm Relu Mul Add ReduceMean Mul Reshape ReduceSum ReduceMean Reshape Add MatMul " +
        "Softmax LogSoftmax Mul Add Add Gemm Relu Gemm ReduceSum Relu Add",
    );
  });
});

describe("the graph of a network without BatchNorm computes the same bits", () => {
  test.each([
    ["StudentNet", new StudentNet({ inFeatures: 20, hidden: [9, 8], classes: 3 }), 20],
    ["one weight in two layers", new Tied(), 2],
    ["one layer", new Linear(5, 4, { bias: false }), 5],
    ["nothing", new Sequential(), 6],
    [
      "a token for each row",
      new Of((x) => cat([ones([1, 1]).mul(0.5).expand([x.shape[0], 1]), zeros([x.shape[0], 2]), x], 1)),
      3,
    ],
    ["a constant times each sample", new Of((x) => matmul(TOKEN, x.reshape([-1, 3, 1])).squeeze(2)), 3],
    ["sums over the batch", new Of((x) => x.mul(x.mean()).add(x.sum(0))), 3],
  ] as [string, Module, number][])("%s", async (_, network, features) => {
    const x = randn([7, features]);
    const graph = new GraphModule(exportedGraph(network, { features }));
    const expected = logitsOf(network, x);
    expect(logitsOf(graph, x)).toEqual(expected);
    const { data, dims } = await run(exportOnnx(network, { features }), x.data, features, 7);
    expect(dims).toEqual(expected.shape);
    expect(relativeError(data, expected.data, expected.shape.at(-1) as number)).toBeLessThan(CLOSE);
  });
});

test.each([13, 20])("log1p is exact for small values, in opset %i", async (opset) => {
  const large = [1e-3, -0.02, 0.4, -0.7, 1, 9, 1e30];
  const values = Float32Array.of(0, 1e-30, -1e-10, 3e-8, -6e-8, 2e-5, ...large, -1, Infinity, Number.NaN, -2);
  const network = new Of((x) => x.log1p());
  const { data } = await run(exportOnnx(network, { features: values.length, opset }), values, values.length, 1);
  for (const [i, x] of values.entries()) {
    const expected = Math.log1p(x);
    if (Number.isFinite(expected)) expect(Math.abs(data[i] - expected)).toBeLessThanOrEqual(3e-7 * Math.abs(expected));
    else expect(data[i]).toBe(expected);
  }
});

test.each([
  ["the largest", (x: Tensor) => F.maxPool2d(x, 2, { stride: 1, padding: 1 })],
  ["the mean", (x: Tensor) => F.avgPool2d(x, [2, 3])],
  ["the mean of parts", (x: Tensor) => F.adaptiveAvgPool2d(x, [2, 3])],
] as const)("pooling of [images, height, width]: %s", async (_, pool) => {
  const x = randn([3, 4, 6]);
  const network = new Of((x) => pool(x).flatten(1));
  const expected = logitsOf(network, x);
  const { data, dims } = await run(exportOnnx(network, { features: [4, 6] }), x.data, [4, 6], 3);
  expect(dims).toEqual(expected.shape);
  expect(relativeError(data, expected.data, expected.shape[1] as number)).toBeLessThan(CLOSE);
});

test.each([
  // The last window begins in the padding after the columns, and is left out; rows have one more window than fit.
  [13, () => F.maxPool2d, 2, { stride: [3, 1], padding: 1 }, [7, 4]],
  [17, () => F.avgPool2d, 2, { stride: [1, 3], padding: 1 }, [4, 4]],
  [17, () => F.maxPool2d, 1, { stride: [1, 2] }, [3, 4]],
  [17, () => F.maxPool2d, [2, 2], { stride: [2, 2], padding: 1 }, [5, 4]],
  [22, () => F.maxPool2d, [2, 1], { stride: [2, 2] }, [5, 4]],
] as const)(
  "pooling with ceilMode, opset %i: the windows are PyTorch's",
  async (opset, pool, size, options, lengths) => {
    const features = [1, ...lengths];
    const x = randn([2, ...features]);
    const pooled = (of: Tensor) => pool()(of, size as number, { ...options, ceilMode: true } as object);
    const factor = randn(pooled(x).shape.slice(1));
    const network = new Of((of) => pooled(of).mul(factor).flatten(1));
    const expected = logitsOf(network, x);
    const { data, dims } = await run(exportOnnx(network, { features, opset }), x.data, features, 2);
    expect(dims).toEqual(expected.shape);
    expect(relativeError(data, expected.data, expected.shape[1] as number)).toBeLessThan(CLOSE);
  },
);

test("pooling with ceilMode that ONNX can't say before opset 22", () => {
  const network = new Of((x) => F.maxPool2d(x, [2, 1], { stride: [2, 2], ceilMode: true }).flatten(1));
  expect(() => exportOnnx(network, { features: [1, 5, 4] })).toThrow(
    "ceilMode leaves out a window of one axis alone, which needs opset 22",
  );
});

describe("the networks of other tests", () => {
  test.each(Object.entries(MODULES))("%s", async (_, make) => {
    const network = make();
    const first = network
      .namedParameters()
      .find(([name]) => name.endsWith("weight"))?.[1]
      .shape.at(-1);
    const features = network.namedChildren().some(([name]) => name === "block") ? 3 : (first ?? 4);
    lived(network, features);
    const x = randn([10, features]);
    const expected = logitsOf(network, x);
    const { data } = await run(exportOnnx(network, { features }), x.data, features, 3);
    expect(relativeError(data, expected.data, expected.shape[1])).toBeLessThan(CLOSE);
  });
});

describe("BatchNorm stays a node where folding would change something", () => {
  class Both extends Module {
    readonly fc = new Linear(3, 3);
    readonly bn = new BatchNorm1d(3);
    override forward(x: Tensor): Tensor {
      const h = this.fc.forward(x);
      return this.bn.forward(h).add(h);
    }
  }
  test.each([
    ["its input is read twice", new Both(), "Gemm BatchNormalization Add"],
    ["after ReLU", new Sequential(new Linear(3, 3), new ReLU(), new BatchNorm1d(3)), "Gemm Relu BatchNormalization"],
    ["before the layer", new Sequential(new BatchNorm1d(3), new Linear(3, 3)), "BatchNormalization Gemm"],
    ["twice after a layer, both go", new Sequential(new Linear(3, 3), new BatchNorm1d(3), new BatchNorm1d(3)), "Gemm"],
  ])("%s", async (_, network, nodes) => {
    lived(network, 3);
    const bytes = exportOnnx(network);
    expect(opTypes(bytes).join(" ")).toBe(nodes);
    const x = randn([10, 3]);
    const { data } = await run(bytes, x.data, 3, 10);
    expect(relativeError(data, logitsOf(network, x).data, 3)).toBeLessThan(CLOSE);
  });
});
