import { expect, it } from "vitest";
import { tensor } from "../../src/index.js";
import { checkGradients, leaves } from "./finite_differences.js";

it.each([
  [1, 1, 1],
  [1, 7, 1],
  [7, 1, 5],
  [3, 5, 2],
  [13, 9, 17],
  [65, 3, 7],
])("[%d, %d] times [., %d]", (m, k, n) => {
  const inputs = leaves([
    [m, k],
    [k, n],
  ]);
  checkGradients((a, b) => a.matmul(b), inputs);
});

it("a matrix times itself", () => {
  checkGradients((a) => a.matmul(a), leaves([[5, 5]]));
});

it("values", () => {
  const [a, b] = [
    tensor([[1, 2, 3]]),
    tensor([
      [1, 10],
      [2, 20],
      [3, 30],
    ]),
  ];
  expect(a.matmul(b).toArray()).toEqual([[14, 140]]);
});

it.each([
  [
    [2, 3],
    [2, 3],
  ],
  [[3], [2, 3]],
  [[2, 3], [2]],
  [[], [2]],
  [
    [2, 2, 3],
    [3, 3, 2],
  ],
])("[%s] and [%s] do not fit", (shapeA, shapeB) => {
  const [a, b] = leaves([shapeA, shapeB]);
  expect(() => a?.matmul(b as never)).toThrow(expect.objectContaining({ code: "SHAPE_MISMATCH" }));
});
