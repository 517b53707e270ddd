import { describe, expect, it } from "vitest";
import { argmax, IntTensor, LongTensor, type Nested, ones, Parameter, Tensor, tensor, zeros } from "../../src/index.js";

describe("making tensors", () => {
  it("from nested arrays", () => {
    const x = tensor([
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
    ]);
    expect(x.shape).toEqual([1, 3, 2]);
    expect([...x.data]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([tensor(3).shape, tensor(3).item()]).toEqual([[], 3]);
    expect([tensor([]).shape, tensor([[], []]).shape]).toEqual([[0], [2, 0]]);
  });

  it("not from a list that holds itself", () => {
    const list: Nested[] = [];
    list.push(list);
    const text = expect.objectContaining({
      code: "BAD_ARGUMENT",
      message: "values: expected at most 64 axes, got [a value of type Array]",
    });
    expect(() => tensor(list)).toThrow(text);
    expect(() => tensor(list, { shape: [2, 2] })).toThrow(text);
  });

  it("from a Float32Array without a copy", () => {
    const data = Float32Array.of(1, 2, 3, 4);
    expect(tensor(data).data).toBe(data);
    expect(tensor(data, { shape: [2, 2] }).toArray()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(new Tensor(data, [4, 1]).data).toBe(data);
  });

  it("zeros, ones, and a parameter that requires a gradient", () => {
    expect([zeros([2, 2]).toArray(), ones([2]).toArray()]).toEqual([
      [
        [0, 0],
        [0, 0],
      ],
      [1, 1],
    ]);
    expect(new Parameter(Float32Array.of(1)).requiresGrad).toBe(true);
    expect(tensor([1]).requiresGrad).toBe(false);
  });

  it("the shape is the tensor's own", () => {
    const shape = [2];
    const x = new Tensor(new Float32Array(2), shape);
    shape[0] = 3;
    expect(x.shape).toEqual([2]);
  });

  it("whole numbers of 32 and 64 bits", () => {
    expect(new IntTensor(Int32Array.of(1, 2, 3, 4), [2, 2]).toArray()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect([...new IntTensor(Int32Array.of(5, 6))]).toEqual([5, 6]);
    expect(new LongTensor(BigInt64Array.of(7n), []).item()).toBe(7);
    expect(new LongTensor(BigInt64Array.of(7n, 8n)).toArray()).toEqual([7, 8]);
  });
});

describe("refused", () => {
  it.each<[string, () => unknown, string]>([
    ["rows of unequal lengths", () => tensor([[1, 2], [3]]), "SHAPE_MISMATCH"],
    ["a number beside a row", () => tensor([[1, 2], 3]), "BAD_DTYPE"],
    ["a row beside a number", () => tensor([1, [2]]), "SHAPE_MISMATCH"],
    ["text", () => tensor(["1"] as unknown as Nested), "BAD_DTYPE"],
    ["another typed array", () => tensor(Float64Array.of(1) as unknown as Float32Array), "BAD_DTYPE"],
    ["a plain array as data", () => new Tensor([1] as unknown as Float32Array), "BAD_DTYPE"],
    ["a shape of another size", () => new Tensor(new Float32Array(5), [2, 3]), "SHAPE_MISMATCH"],
    ["a shape of a fraction", () => new Tensor(new Float32Array(3), [1.5, 2]), "BAD_ARGUMENT"],
    ["a negative shape", () => new Tensor(new Float32Array(6), [-2, -3]), "BAD_ARGUMENT"],
    ["a shape that is no list", () => zeros(3 as unknown as number[]), "BAD_ARGUMENT"],
    ["labels of fractions", () => new IntTensor(Float32Array.of(0.5) as unknown as Int32Array), "BAD_DTYPE"],
    ["labels of another shape", () => new IntTensor(Int32Array.of(1), [2]), "SHAPE_MISMATCH"],
    ["counters of 32 bits", () => new LongTensor(Int32Array.of(1) as unknown as BigInt64Array), "BAD_DTYPE"],
    ["item() of two", () => tensor([1, 2]).item(), "SHAPE_MISMATCH"],
    ["item() of two labels", () => new IntTensor(Int32Array.of(1, 2)).item(), "SHAPE_MISMATCH"],
    ["adding text", () => tensor([1]).add("1" as unknown as number), "BAD_DTYPE"],
    ["multiplying by an array", () => tensor([1]).mul([1] as unknown as number), "BAD_DTYPE"],
    ["a matrix product with a number", () => tensor([[1]]).matmul(2 as unknown as Tensor), "BAD_DTYPE"],
  ])("%s", (_, make, code) => {
    expect(make).toThrow(expect.objectContaining({ name: "DistilleryError", code }));
  });
});

it("item() says the shape", () => {
  expect(() => zeros([4, 3]).item()).toThrow("item(): expected a tensor of one element, got one of shape [4, 3]");
});

describe("argmax", () => {
  it("is the first of the largest; NaN counts as larger than all, as in PyTorch", () => {
    const rows = [
      [1, 3, 3],
      [-1, -2, -3],
      [Number.NaN, 9, 9],
      [1, Number.NaN, Number.POSITIVE_INFINITY],
    ];
    expect([...argmax(tensor(rows), 1)]).toEqual([1, 0, 0, 1]);
    expect(argmax(tensor([4, 5, 6])).item()).toBe(2);
    expect(argmax(tensor([[[1, 2]], [[4, 3]]]), -1).toArray()).toEqual([[1], [0]]);
  });

  it("of rows of nothing is refused", () => {
    expect(() => argmax(zeros([2, 0]), 1)).toThrow(expect.objectContaining({ code: "SHAPE_MISMATCH" }));
  });
});
