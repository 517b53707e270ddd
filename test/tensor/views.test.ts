import { describe, expect, it } from "vitest";
import { IntTensor, tensor, zeros } from "../../src/index.js";
import { checkGradients, leaves } from "./finite_differences.js";

describe("reshape", () => {
  it.each<[number[], number[]]>([
    [[6], [2, 3]],
    [[2, 3], [6]],
    [
      [2, 3],
      [3, -1],
    ],
    [[2, 3, 5], [-1]],
    [[1], []],
    [[], [1, 1]],
    [
      [3, 5],
      [5, 3],
    ],
  ])("[%s] to [%s]", (from, to) => {
    // The square tells elements apart, so that a wrong order would show.
    checkGradients((x) => x.reshape(to).mul(x.reshape(to)), leaves([from]));
  });

  it("keeps the order and shares memory", () => {
    const x = tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    const y = x.reshape([3, -1]);
    expect(y.toArray()).toEqual([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    y.data[0] = 9;
    expect(x.data[0]).toBe(9);
  });

  it.each([
    [[4], "SHAPE_MISMATCH"],
    [[4, -1], "SHAPE_MISMATCH"],
    [[-1, -1], "BAD_ARGUMENT"],
    [[-2, 3], "BAD_ARGUMENT"],
    [[1.5, 4], "BAD_ARGUMENT"],
    [6, "BAD_ARGUMENT"],
  ])("[2, 3] to %s is %s", (shape, code) => {
    expect(() => zeros([2, 3]).reshape(shape as number[])).toThrow(expect.objectContaining({ code }));
  });

  it("two free lengths are refused where nothing is left to tell them", () => {
    expect(() => zeros([0, 3]).reshape([-1, -1])).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
    expect(() => zeros([0, 12]).reshape([0, -1])).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
    expect(zeros([0, 3]).reshape([-1]).shape).toEqual([0]);
    expect(zeros([0, 3]).reshape([-1, 3]).shape).toEqual([0, 3]);
  });
});

describe("slice", () => {
  it.each<[number[], number, number | undefined]>([
    [[7], 2, 5],
    [[7, 3], 0, 1],
    [[7, 3], 6, 7],
    [[7, 3], -3, undefined],
    [[7, 3], -3, -1],
    [[5, 2, 3], 1, 4],
    [[5, 3], 0, undefined],
  ])("gradient of [%s] from %d to %s", (shape, start, end) => {
    checkGradients((x) => x.slice(start, end).mul(x.slice(start, end)), leaves([shape]));
  });

  it("rows that no slice took have gradient zero, those that two took the sum", () => {
    const x = tensor([1, 2, 3, 4], { requiresGrad: true });
    x.slice(0, 2).sum().add(x.slice(1, 3).mul(10).sum()).backward();
    expect(x.grad?.toArray()).toEqual([1, 11, 10, 0]);
  });

  it("cuts as Array.prototype.slice does, and shares memory", () => {
    const [x, labels] = [tensor([1, 2, 3, 4]), new IntTensor(Int32Array.of(1, 2, 3, 4))];
    for (const [start, end] of [
      [0, 9],
      [-9, 2],
      [3, 1],
      [4, 9],
      [-2, -1],
    ] as const) {
      expect(x.slice(start, end).toArray()).toEqual([1, 2, 3, 4].slice(start, end));
      expect(labels.slice(start, end).toArray()).toEqual([1, 2, 3, 4].slice(start, end));
    }
    x.slice(2).data[0] = 7;
    expect(x.data[2]).toBe(7);
  });

  it("needs an axis and whole numbers", () => {
    expect(() => tensor(1).slice(0)).toThrow(expect.objectContaining({ code: "SHAPE_MISMATCH" }));
    expect(() => tensor([1, 2]).slice(0.5)).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
    expect(() => tensor([1, 2]).slice(0, Number.NaN)).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
  });
});
