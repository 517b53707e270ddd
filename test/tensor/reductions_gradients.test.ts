import { describe, expect, it } from "vitest";
import { tensor } from "../../src/index.js";
import { checkGradients, leaves } from "./finite_differences.js";

const SHAPES = [[1], [7], [3, 5], [2, 3, 5], [13, 1], [1, 17]];
/** Each axis, counted from both ends. */
const WITH_AXES = SHAPES.flatMap((shape) =>
  [...shape.keys()].flatMap((axis): [number[], number][] => [
    [shape, axis],
    [shape, axis - shape.length],
  ]),
);

describe.each(["sum", "mean"] as const)("%s", (op) => {
  it.each([[[]], ...SHAPES.map((shape) => [shape])])("of all of [%s]", (shape) => {
    checkGradients((x) => x[op](), leaves([shape]));
    checkGradients((x) => x[op](undefined, true), leaves([shape]));
  });

  it.each(WITH_AXES)("of [%s] along %d", (shape, axis) => {
    checkGradients((x) => x[op](axis), leaves([shape]));
    checkGradients((x) => x[op](axis, true), leaves([shape]));
  });
});

describe.each(["softmax", "logSoftmax"] as const)("%s", (op) => {
  it.each(SHAPES.map((shape) => [shape]))("of [%s]", (shape) => {
    checkGradients((x) => x[op](), leaves([shape]));
    checkGradients((x) => x.mul(4)[op](shape.length - 1), leaves([shape]));
  });
});

it("values and shapes of sums and means", () => {
  const x = tensor([
    [1, 2, 3],
    [4, 5, 9],
  ]);
  expect(x.sum().toArray()).toBe(24);
  expect(x.mean().toArray()).toBe(4);
  expect(x.sum(0).toArray()).toEqual([5, 7, 12]);
  expect(x.sum(1, true).toArray()).toEqual([[6], [18]]);
  expect(x.mean(-1).toArray()).toEqual([2, 6]);
  expect(x.mean(0, true).toArray()).toEqual([[2.5, 3.5, 6]]);
  expect(x.sum(undefined, true).toArray()).toEqual([[24]]);
});

it("softmax of large logits is no NaN", () => {
  const x = tensor([1000, 1000, -1000]);
  expect(x.softmax().toArray()).toEqual([0.5, 0.5, 0]);
  expect(x.logSoftmax().toArray()).toEqual([-Math.LN2, -Math.LN2, -2000 - Math.LN2].map(Math.fround));
});

it.each([2, -3, 0.5, Number.NaN])("no axis %d", (axis) => {
  const x = tensor([[1, 2]]);
  for (const op of ["sum", "mean", "softmax", "logSoftmax"] as const) {
    expect(() => x[op](axis), op).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
  }
});

it("a scalar has no axis but 0 and -1", () => {
  expect(() => tensor(1).softmax(1)).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
  expect(() => tensor(1).sum(-2)).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
});
