import { expect, it } from "vitest";
import { F, type Tensor, zeros } from "../../src/index.js";
import { leaves } from "../tensor/finite_differences.js";

type Operation = (...inputs: [Tensor, Tensor, Tensor]) => Tensor;

const batchNorm =
  (training: boolean): Operation =>
  (x, weight, bias) => {
    const state = { weight, bias, runningMean: zeros([5]), runningVar: zeros([5]).add(2) };
    return F.batchNorm(x, state, { training, momentum: 0.1, eps: 1e-5 });
  };

/** Operations of three inputs, with their shapes. */
const OPERATIONS: [string, Operation, number[][]][] = [
  ["linear", (x, weight, bias) => F.linear(x, weight, bias), [[7, 5], [3, 5], [3]]],
  ["linear with ReLU", (x, weight, bias) => F.linear(x, weight, bias).relu(), [[7, 5], [3, 5], [3]]],
  ["batchNorm, train", batchNorm(true), [[7, 5], [5], [5]]],
  ["batchNorm, eval", batchNorm(false), [[7, 5], [5], [5]]],
  [
    "matmul and mul",
    (a, b, c) => a.matmul(b).mul(c),
    [
      [7, 5],
      [5, 3],
      [7, 1],
    ],
  ],
  ["add and mul", (a, b, c) => a.add(b).mul(c), [[7, 5], [5], [7, 1]]],
];

/** The gradients of the inputs, of which `asking` tells who asks for one. */
function gradients(operation: Operation, shapes: number[][], asking: readonly boolean[]): unknown[] {
  const inputs = leaves(shapes) as [Tensor, Tensor, Tensor];
  inputs.forEach((input, i) => {
    input.requiresGrad = asking[i] ?? false;
  });
  const out = operation(...inputs);
  out.mul(out).sum().backward();
  return inputs.map((input) => input.grad?.toArray() ?? null);
}

it.each(OPERATIONS)("%s: whoever asks gets the same gradient, whoever else does", (_, operation, shapes) => {
  const all = gradients(operation, shapes, [true, true, true]);
  expect(all).not.toContain(null);
  for (let subset = 1; subset < 7; subset++) {
    const asking = [0, 1, 2].map((i) => ((subset >> i) & 1) === 1);
    expect(gradients(operation, shapes, asking), String(asking)).toEqual(
      all.map((grad, i) => (asking[i] ? grad : null)),
    );
  }
});
