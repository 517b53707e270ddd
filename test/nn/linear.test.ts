import { describe, expect, it } from "vitest";
import { F, Linear, tensor, zeros } from "../../src/index.js";
import { linearOp } from "../../src/ops/linear.js";
import { checkGradients, leaves } from "../tensor/finite_differences.js";

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
