import { describe, expect, it } from "vitest";
import { tensor } from "../../src/index.js";
import { checkGradients, leaves } from "./finite_differences.js";

/** Every way in which two shapes can meet: equal, an axis missing, of one, on either side, in the middle, both. */
const PAIRS: [number[], number[]][] = [
  [[], []],
  [[1], [1]],
  [[7], [7]],
  [
    [3, 5],
    [3, 5],
  ],
  [[3, 5], [5]],
  [[5], [3, 5]],
  [
    [3, 5],
    [1, 5],
  ],
  [
    [3, 5],
    [3, 1],
  ],
  [
    [3, 1],
    [1, 5],
  ],
  [[3, 5], []],
  [[], [3, 5]],
  [[1], [3, 5]],
  [
    [2, 3, 5],
    [3, 1],
  ],
  [
    [2, 1, 5],
    [3, 1],
  ],
  [
    [1, 3, 1],
    [2, 1, 5],
  ],
  [[4, 1, 1, 3], [3]],
  [
    [13, 17],
    [1, 1],
  ],
];

describe.each(PAIRS)("[%s] and [%s]", (shapeA, shapeB) => {
  it("add", () => {
    checkGradients((a, b) => a.add(b), leaves([shapeA, shapeB]));
  });

  it("mul", () => {
    checkGradients((a, b) => a.mul(b), leaves([shapeA, shapeB], 2));
  });
});

describe.each([[[]], [[1]], [[7, 3]], [[63]]])("[%s] and a number", (shape) => {
  it.each([0, 1, -2.5])("%d", (number) => {
    checkGradients((x) => x.add(number), leaves([shape]));
    checkGradients((x) => x.mul(number), leaves([shape]));
  });
});

it.each([[[]], [[1]], [[7, 13]], [[2, 3, 5]]])("relu of [%s]", (shape) => {
  checkGradients((x) => x.relu(), leaves([shape]));
});

it("relu at zero has slope zero, as PyTorch", () => {
  const x = tensor([-0, 0, 1e-30, -1e-30], { requiresGrad: true });
  x.relu().sum().backward();
  expect(x.grad?.toArray()).toEqual([0, 0, 1, 0]);
});

it("values of broadcast sums and products", () => {
  const [column, row] = [tensor([[1], [2]]), tensor([10, 20, 30])];
  expect(column.add(row).toArray()).toEqual([
    [11, 21, 31],
    [12, 22, 32],
  ]);
  expect(row.mul(column).toArray()).toEqual([
    [10, 20, 30],
    [20, 40, 60],
  ]);
  expect(row.add(0.5).mul(-2).toArray()).toEqual([-21, -41, -61]);
});

it.each([
  [
    [2, 3],
    [3, 2],
  ],
  [[2, 3], [2]],
  [
    [2, 1, 3],
    [4, 2, 2],
  ],
])("[%s] and [%s] do not meet", (shapeA, shapeB) => {
  const [a, b] = leaves([shapeA, shapeB]) as [ReturnType<typeof tensor>, ReturnType<typeof tensor>];
  expect(() => a.add(b)).toThrow(expect.objectContaining({ code: "SHAPE_MISMATCH" }));
  expect(() => b.mul(a)).toThrow(expect.objectContaining({ code: "SHAPE_MISMATCH" }));
});
