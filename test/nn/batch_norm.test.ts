import { describe, expect, it } from "vitest";
import { exportedGraph } from "../../src/export/index.js";
import { GraphModule } from "../../src/graph/index.js";
import {
  BatchNorm1d,
  BatchNorm2d,
  F,
  Linear,
  ones,
  ReLU,
  Sequential,
  step,
  type Tensor,
  tensor,
  zeros,
} from "../../src/index.js";
import { expectClose } from "../parity/close.js";
import { checkGradients, leaves } from "../tensor/finite_differences.js";

/** 1/std makes the fourth-order error larger where rows lie close together, so the step is smaller. */
const TRAIN = { step: 1 / 128, tolerance: { abs: 2e-4, rel: 2e-4 } };

function batchNorm(training: boolean, [mean, variance]: [Tensor, Tensor]) {
  return (x: Tensor, weight: Tensor, bias: Tensor) =>
    F.batchNorm(
      x,
      { weight, bias, runningMean: tensor(mean.data.slice()), runningVar: tensor(variance.data.slice()) },
      { training, momentum: 0.1, eps: 1e-5 },
    );
}

describe.each([
  [2, 1],
  [3, 5],
  [7, 3],
  [13, 17],
  [65, 2],
])("[%d, %d]", (rows, features) => {
  const [mean, spread] = leaves([[features], [features]], 5) as [Tensor, Tensor];
  const running: [Tensor, Tensor] = [mean, spread.mul(spread).add(0.25)];
  const inputs = (seed: number) => leaves([[rows, features], [features], [features]], seed);

  it("gradients in train mode", () => {
    checkGradients(batchNorm(true, running), inputs(2), TRAIN);
  });

  it("gradients in eval mode", () => {
    checkGradients(batchNorm(false, running), inputs(3));
  });
});

// Rows of a matrix, short planes and long ones are three kernels.
it.each([[[3, 2]], [[3, 2, 2, 2]], [[3, 2, 30, 30]]])(
  "in eval mode NaN in a sample of %j leaves the gradients of others",
  (shape) => {
    const x = ones(shape);
    x.data[0] = Number.NaN;
    x.data[1] = Number.POSITIVE_INFINITY;
    x.requiresGrad = true;
    const state = { weight: tensor([2, 3]), bias: zeros([2]), runningMean: zeros([2]), runningVar: ones([2]) };
    const y = F.batchNorm(x, state, { training: false, momentum: 0.1, eps: 0 });
    y.slice(1, 3).sum().backward();
    const [rows, channels, ...plane] = shape;
    const size = plane.reduce((product, length) => product * length, 1);
    expect(Array.from(x.grad?.data ?? [])).toEqual(
      Array.from({ length: x.size }, (_, i) => (i < x.size / rows ? 0 : 2 + (Math.floor(i / size) % channels))),
    );
  },
);

describe("buffers", () => {
  it("move in train mode by momentum, the variance unbiased, and count the batches", () => {
    const layer = new BatchNorm1d(2, { momentum: 0.25 });
    layer.forward(
      tensor([
        [1, 10],
        [3, 10],
        [5, 40],
      ]),
    ); // means 3 and 20, unbiased variances 4 and 300
    expectClose(layer.runningMean.data, [0.75, 5], { rel: 1e-6 });
    expectClose(layer.runningVar.data, [0.75 + 1, 0.75 + 75], { rel: 1e-6 });
    expect(layer.numBatchesTracked).toBe(1);
    layer.forward(ones([4, 2]));
    expect(layer.numBatchesTracked).toBe(2);
  });

  it("stay in eval mode, and are what it normalises by", () => {
    const layer = new BatchNorm1d(1, { eps: 0 }).eval();
    layer.runningMean.data[0] = 3;
    layer.runningVar.data[0] = 4;
    expect(layer.forward(tensor([[3], [7]])).toArray()).toEqual([[0], [2]]);
    expect([layer.runningMean.item(), layer.runningVar.item(), layer.numBatchesTracked]).toEqual([3, 4, 0]);
  });

  it("are the state's own tensors, of PyTorch's types and shapes", () => {
    const layer = new BatchNorm1d(3);
    const state = layer.stateDict();
    expect(Object.keys(state)).toEqual(["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]);
    expect(state.running_mean).toBe(layer.runningMean);
    expect(state.num_batches_tracked).toMatchObject({ dtype: "int64", shape: [] });
    layer.forward(ones([2, 3]));
    layer.forward(ones([2, 3]));
    expect(state.num_batches_tracked?.toArray()).toBe(2);
  });

  it("a frozen layer in train mode moves them all the same, as PyTorch", () => {
    const layer = new BatchNorm1d(1).freeze();
    expect(layer.forward(tensor([[1], [3]])).requiresGrad).toBe(false);
    expectClose(layer.runningMean.data, [0.2], { rel: 1e-6 });
  });
});

describe("affine: false", () => {
  const x = tensor([[1, 2], [3, -1], [0, 0.5], [-2, 1]]); // biome-ignore format: rows
  const setup = () => {
    const layers = [new Linear(2, 3), new BatchNorm1d(3, { affine: false }), new ReLU(), new Linear(3, 1)] as const;
    layers[0].weight.data.set([0.5, -1, 1, 0.25, -0.75, 1.5]);
    layers[3].weight.data.set([1, -2, 0.5]);
    for (const linear of [layers[0], layers[3]]) linear.bias?.data.fill(0);
    return { layers, network: new Sequential(...layers) };
  };

  it.each([false, true])("gives PyTorch's values, gradients and statistics, in a step: %s", (inStep) => {
    const { layers, network } = setup();
    const [first, norm] = layers;
    const pass = () => {
      const y = network.forward(x);
      y.mul(y).mean().backward();
      return y;
    };
    // The second step runs the layers as one kernel.
    const passes = inStep ? 2 : 1;
    for (let i = 0; i < passes; i++) {
      first.weight.zeroGrad();
      const y = inStep ? step(pass) : pass();
      expectClose(y.data, [-0.6876661, -0.8590301, 0.0358057, 0.4654743], { abs: 1e-6 });
      const expected = [0.008831, 0.0044179, -0.0307059, 0.1228447, -0.1467242, -0.0733621];
      expectClose(first.weight.grad?.data ?? [], expected, { abs: 1e-6 });
    }
    expect([norm.weight.grad, norm.bias.grad]).toEqual([null, null]);
    if (inStep) return;
    expectClose(norm.runningMean.data, [-0.0375, 0.065625, 0.05625], { abs: 1e-6 });
    expectClose(network.eval().forward(x).data, [-1.7289412, -2.539537, 0.1522613, 1.0928074], { abs: 1e-6 });
    const graph = new GraphModule(exportedGraph(network));
    expectClose(graph.forward(x).data, [-1.7289412, -2.539537, 0.1522613, 1.0928074], { abs: 1e-6 });
  });

  it("has no weight and bias to train or to store", () => {
    const { network } = setup();
    expect(network.parameters()).toHaveLength(4);
    expect(Object.keys(new BatchNorm2d(3, { affine: false }).stateDict())).toEqual([
      "running_mean",
      "running_var",
      "num_batches_tracked",
    ]);
    expect(new BatchNorm1d(3, { bias: false }).namedParameters().map(([name]) => name)).toEqual(["weight"]);
    expect(() => new BatchNorm1d(3, { affine: 0 } as never)).toThrow("affine: expected true or false, got 0");
  });
});

describe("refused", () => {
  it("a batch of one in train mode; the statistics stay as they were", () => {
    const layer = new BatchNorm1d(2);
    expect(() => layer.forward(ones([1, 2]))).toThrow(expect.objectContaining({ code: "BATCH_TOO_SMALL" }));
    expect([layer.runningMean.toArray(), layer.runningVar.toArray()]).toEqual([
      [0, 0],
      [1, 1],
    ]);
    expect(layer.numBatchesTracked).toBe(0);
    expect(
      layer
        .eval()
        .forward(zeros([1, 2]))
        .toArray(),
    ).toEqual([[0, 0]]);
  });

  it.each<[string, () => unknown, string]>([
    ["another number of columns", () => new BatchNorm1d(3).forward(zeros([2, 2])), "SHAPE_MISMATCH"],
    ["images, as PyTorch", () => new BatchNorm1d(3).forward(zeros([2, 3, 4, 4])), "SHAPE_MISMATCH"],
    ["a row", () => new BatchNorm1d(3).forward(zeros([3])), "SHAPE_MISMATCH"],
    ["no tensor", () => new BatchNorm1d(3).forward([[1, 2, 3]] as never), "BAD_DTYPE"],
    ["no features", () => new BatchNorm1d(0), "BAD_ARGUMENT"],
    ["a negative eps", () => new BatchNorm1d(3, { eps: -1 }), "BAD_ARGUMENT"],
    ["a momentum above 1", () => new BatchNorm1d(3, { momentum: 1.1 }), "BAD_ARGUMENT"],
    ["a momentum of NaN", () => new BatchNorm1d(3, { momentum: Number.NaN }), "BAD_ARGUMENT"],
  ])("%s", (_, call, code) => {
    expect(call).toThrow(expect.objectContaining({ name: "DistilleryError", code }));
  });
});
