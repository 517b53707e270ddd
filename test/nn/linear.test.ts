import { afterEach, describe, expect, it, vi } from "vitest";
import {
  F,
  Generator,
  Linear,
  type Module,
  ReLU,
  randn,
  Sequential,
  StudentNet,
  type Tensor,
  tensor,
  withGenerator,
  withPrecision,
  zeros,
} from "../../src/index.js";
import { native } from "../../src/native.js";
import { Taps } from "../../src/nn/taps.js";
import { linearOp } from "../../src/ops/linear.js";
import { withTracer } from "../../src/tensor/tracer.js";
import { checkGradients, leaves } from "../tensor/finite_differences.js";

afterEach(() => vi.restoreAllMocks());

/** Rows, inputs, outputs. */
const SIZES = [
  [1, 1, 1],
  [1, 7, 3],
  [7, 1, 5],
  [5, 13, 9],
  [65, 7, 3],
] as const;

describe.each(SIZES)("[%d, %d] to %d", (rows, inputs, outputs) => {
  const shapes = [[rows, inputs], [outputs, inputs], [outputs]];

  it("with a bias", () => {
    checkGradients((x, weight, bias) => F.linear(x, weight, bias), leaves(shapes));
  });

  it("without one", () => {
    checkGradients((x, weight) => F.linear(x, weight), leaves(shapes.slice(0, 2)));
  });

  it.each([true, false])("with ReLU, bias %s", (withBias) => {
    const operands = leaves(withBias ? shapes : shapes.slice(0, 2), seedWithoutKinks(withBias, shapes));
    checkGradients((x, weight, bias) => F.linear(x, weight, bias ?? null).relu(), operands, FINE);
  });
});

/**
 * Small steps, so that none crosses the kink of ReLU. The function is linear between kinks: only roundings remain,
 * 6e-8 of a sum of up to 13 products, times 1.5 / step.
 */
const FINE = { step: 1 / 512, tolerance: { abs: 2e-4, rel: 1e-4 } };

/** A seed for which no output is nearer to zero than two steps can move it. */
function seedWithoutKinks(withBias: boolean, shapes: readonly number[][]): number {
  for (let seed = 1; ; seed++) {
    const [x, weight, bias] = leaves(withBias ? shapes : shapes.slice(0, 2), seed);
    const out = F.linear(x as never, weight as never, bias ?? null);
    if (out.data.every((value) => Math.abs(value) > 3 * 1.25 * FINE.step)) return seed;
  }
}

it("values, with and without ReLU", () => {
  const [x, weight, bias] = [
    tensor([[1, 2]]),
    tensor([
      [3, 4],
      [-5, 1],
    ]),
    tensor([5, 1]),
  ];
  expect(F.linear(x, weight).toArray()).toEqual([[11, -3]]);
  expect(F.linear(x, weight, bias).toArray()).toEqual([[16, -2]]);
  expect(F.linear(x, weight, bias).relu().toArray()).toEqual([[16, 0]]);
});

it("ReLU in the pass and after it are the same bits, gradients too", () => {
  const [fused, after] = [0, 1].map(() => leaves([[7, 5], [3, 5], [3]]));
  const [x, weight, bias] = fused as [never, never, never];
  linearOp([x, weight, bias], { relu: true }).sum().backward();
  const [x2, weight2, bias2] = after as [never, never, never];
  F.linear(x2, weight2, bias2).relu().sum().backward();
  expect(fused?.map((t) => t.grad?.toArray())).toEqual(after?.map((t) => t.grad?.toArray()));
});

it("a layer is its function", () => {
  const layer = new Linear(5, 3);
  const [x] = leaves([[7, 5]]) as [never];
  expect(layer.forward(x).toArray()).toEqual(F.linear(x, layer.weight, layer.bias).toArray());
});

it.each<[string, () => unknown, string]>([
  ["783 columns for 784", () => new Linear(784, 10).forward(zeros([2, 783])), "SHAPE_MISMATCH"],
  ["a single number", () => new Linear(4, 2).forward(zeros([])), "SHAPE_MISMATCH"],
  ["a bias of another length", () => F.linear(zeros([1, 2]), zeros([3, 2]), zeros([2])), "SHAPE_MISMATCH"],
  ["a bias that is no tensor", () => F.linear(zeros([1, 2]), zeros([3, 2]), [0, 0, 0] as never), "BAD_DTYPE"],
  ["x that is no tensor", () => F.linear([[1, 2]] as never, zeros([3, 2])), "BAD_DTYPE"],
  ["no inputs", () => new Linear(0, 2), "BAD_ARGUMENT"],
  ["half an output", () => new Linear(2, 1.5), "BAD_ARGUMENT"],
])("%s", (_, call, code) => {
  expect(call).toThrow(expect.objectContaining({ name: "DistilleryError", code }));
});

describe("Linear with ReLU behind it", () => {
  const bits = ({ data }: Tensor) =>
    new Int32Array(data.buffer.slice(data.byteOffset, data.byteOffset + 4 * data.length));

  /** The output and the gradients of x and of each parameter. */
  function pass(network: Module, forward: (x: Tensor) => Tensor, shape: readonly number[]): (Int32Array | null)[] {
    const x = withGenerator(new Generator(3), () => randn(shape, { requiresGrad: true }));
    for (const parameter of network.parameters()) parameter.zeroGrad();
    const out = forward(x);
    out.mul(out).sum().backward();
    return [out, ...[x, ...network.parameters()].map(({ grad }) => grad)].map((tensor) => tensor && bits(tensor));
  }

  const network = (bias = true) =>
    withGenerator(new Generator(2), () => new Sequential(new Linear(13, 37, { bias }), new ReLU(), new Linear(37, 5)));
  const apart = (layers: Sequential) => (x: Tensor) =>
    layers.children().reduce((value, layer) => layer.forward(value), x);

  it.each([
    ["of rows", true, [20, 13], "float32"],
    ["without a bias", false, [20, 13], "float32"],
    ["of three axes", true, [4, 5, 13], "float32"],
    ["of one row", true, [1, 13], "float32"],
    ["of no rows", true, [0, 13], "float32"],
    ["in bfloat16", true, [20, 13], "bfloat16"],
  ] as const)("is one operation with the bits of two: %s", (_, bias, shape, precision) => {
    const layers = network(bias);
    const alone = vi.spyOn(native, "reluForward");
    const fused = withPrecision(precision, () => pass(layers, (x) => layers.forward(x), shape));
    expect(alone).not.toHaveBeenCalled();
    expect(fused).toEqual(withPrecision(precision, () => pass(layers, apart(layers), shape)));
    expect(alone).toHaveBeenCalled();
  });

  it("is in the script's student", () => {
    const student = withGenerator(new Generator(2), () => new StudentNet({ inFeatures: 13, hidden: [37, 9] }));
    const byHand = (x: Tensor) => student.fc3.forward(student.fc2.forward(student.fc1.forward(x).relu()).relu());
    expect(pass(student, (x) => student.forward(x), [20, 13])).toEqual(pass(student, byHand, [20, 13]));
  });

  it("shows what is between to what reads the module's output", () => {
    const layers = network();
    const x = withGenerator(new Generator(3), () => randn([20, 13]));
    const { value, taps } = new Taps(layers, ["0", "1", "1:input"], "student").record(() => layers.forward(x));
    const product = layers.children()[0].forward(x);
    expect(bits(taps["0"])).toEqual(bits(product));
    expect(taps["1:input"]).toBe(taps["0"]);
    expect(bits(taps["1"])).toEqual(bits(product.relu()));
    expect(bits(value)).toEqual(bits(layers.forward(x)));
  });

  it("is two operations in a graph", () => {
    const names: string[] = [];
    const layers = network();
    withTracer(
      (_output, _inputs, { name }) => names.push(name),
      () => layers.forward(randn([2, 13])),
    );
    expect(names).toEqual(["linear", "relu", "linear"]);
  });

  it("runs what somebody puts in the place of a class's forward", () => {
    const { forward } = Linear.prototype;
    let calls = 0;
    Linear.prototype.forward = function (x) {
      calls++;
      return forward.call(this, x);
    };
    try {
      new Sequential(new Linear(3, 2), new ReLU(), new Linear(2, 2)).forward(randn([4, 3]));
    } finally {
      Linear.prototype.forward = forward;
    }
    expect(calls).toBe(2);
  });

  it("runs a forward of the user's own, of either", () => {
    class Doubled extends Linear {
      override forward(x: Tensor): Tensor {
        return super.forward(x).mul(2);
      }
    }
    class Negative extends ReLU {
      override forward(x: Tensor): Tensor {
        return super.forward(x.neg());
      }
    }
    const x = tensor([[1, -2]]);
    const linear = new Linear(2, 3);
    const doubled = new Doubled(2, 3).loadStateDict(linear.stateDict());
    expect(new Sequential(doubled, new ReLU()).forward(x).toArray()).toEqual(linear.forward(x).mul(2).relu().toArray());
    expect(new Sequential(linear, new Negative()).forward(x).toArray()).toEqual(
      linear.forward(x).neg().relu().toArray(),
    );
  });
});
