import { describe, expect, it } from "vitest";
import { Tensor, tensor } from "../../src/index.js";
import { Gradient } from "../../src/tensor/gradient.js";
import { checkGradients, leaves } from "./finite_differences.js";

const leaf = (values: number[]) => tensor(values, { requiresGrad: true });
const times = (x: Tensor, factor: number) => x.mul(factor).sum().backward();

describe("gradients of several backward passes", () => {
  it("add up until zeroGrad()", () => {
    const x = leaf([1, 2]);
    times(x, 3);
    times(x, 10);
    expect(x.grad?.toArray()).toEqual([13, 13]);
    x.zeroGrad();
    expect(x.grad).toBeNull();
    times(x, 5);
    expect(x.grad?.toArray()).toEqual([5, 5]);
  });

  it("two halves of a batch sum to the whole", () => {
    const [x, w] = [
      tensor([
        [1, 2],
        [3, 4],
        [5, 6],
        [7, 8],
      ]),
      tensor([[1], [-1]], { requiresGrad: true }),
    ];
    const lossOf = (rows: Tensor) => rows.matmul(w).mul(rows.matmul(w)).sum();
    lossOf(x).backward();
    const whole = w.grad?.toArray();
    w.zeroGrad();
    lossOf(x.slice(0, 2)).backward();
    lossOf(x.slice(2, 4)).backward();
    expect(w.grad?.toArray()).toEqual(whole);
  });
});

describe("the gradient of a sum", () => {
  it.each<[string, (x: Tensor, y: Tensor) => Tensor]>([
    ["of two that are read elsewhere too", (x, y) => x.add(y).add(x.mul(y)).mul(x.add(y.exp()))],
    ["of one and itself", (x, y) => x.add(x).add(y).mul(y.add(y))],
    ["of a chain of sums", (x, y) => [1, 2, 3].reduce((sum, n) => sum.add(x.mul(n)).add(y), x.mul(y)).mul(y)],
    ["with one that is broadcast", (x, y) => x.add(y.slice(0, 1)).add(y.sum()).mul(x)],
    [
      "of a reshaped one",
      (x, y) =>
        x
          .reshape([2, 2])
          .add(y.reshape([2, 2]))
          .add(x.mul(2).reshape([2, 2]))
          .exp(),
    ],
  ])("reaches each addend once for each time it is read: %s", (_, f) => {
    const inputs = leaves([[4], [4]]);
    checkGradients((x, y) => f(x.mul(0.5), y.mul(x)), inputs);
  });

  it("is that of leaves, with and without a gradient", () => {
    const [x, y] = [leaf([1, 2]), leaf([3, 4])];
    times(y, 10);
    times(x.add(y), 3);
    expect([x.grad?.toArray(), y.grad?.toArray()]).toEqual([
      [3, 3],
      [13, 13],
    ]);
  });
});

describe("a gradient that was handed out", () => {
  it("is never overwritten after zeroGrad()", () => {
    const x = leaf([1, 2]);
    times(x, 3);
    const kept = x.grad;
    for (const factor of [4, 5]) {
      x.zeroGrad();
      times(x, factor);
    }
    expect(kept?.toArray()).toEqual([3, 3]);
    expect(x.grad?.toArray()).toEqual([5, 5]);
  });

  it("is the same object until it is another gradient, and grows with it as PyTorch's", () => {
    const x = leaf([1]);
    times(x, 3);
    const kept = x.grad;
    expect(x.grad).toBe(kept);
    times(x, 4);
    expect(x.grad).toBe(kept);
    expect(kept?.toArray()).toEqual([7]);
  });

  it("memory of one that was not handed out is used again", () => {
    const x = leaf([1]);
    times(x, 3);
    const memory = x.gradient.data;
    x.zeroGrad();
    x.zeroGrad();
    times(x, 4);
    expect(x.gradient.data).toBe(memory);
    expect(x.grad?.toArray()).toEqual([4]);
  });

  it("memory of one that was handed out is not, though another took its place for a while", () => {
    const x = leaf([1]);
    times(x, 3);
    const { grad } = x;
    const own = x.swapGradient(new Gradient(x.shape));
    times(x, 5);
    expect(x.swapGradient(own).data).toEqual(Float32Array.of(5));
    x.zeroGrad();
    times(x, 4);
    expect([grad?.toArray(), x.grad?.toArray()]).toEqual([[3], [4]]);
  });
});

describe("assigning a gradient", () => {
  it("takes the tensor itself, and null forgets it", () => {
    const [x, grad] = [leaf([1, 2]), tensor([5, 6])];
    x.grad = grad;
    expect(x.grad).toBe(grad);
    times(x, 1);
    expect(x.grad?.toArray()).toEqual([6, 7]);
    Object.assign(x, { grad: null });
    expect(x.grad).toBeNull();
    times(x, 2);
    expect(x.grad?.toArray()).toEqual([2, 2]);
    expect(grad.toArray()).toEqual([6, 7]);
  });

  it("refuses another shape and what is no tensor", () => {
    const x = leaf([1, 2]);
    expect(() => {
      x.grad = tensor([[1, 2]]);
    }).toThrow(expect.objectContaining({ code: "SHAPE_MISMATCH" }));
    expect(() => {
      x.grad = Float32Array.of(1, 2) as unknown as Tensor;
    }).toThrow(expect.objectContaining({ code: "BAD_DTYPE" }));
    expect(new Tensor(x.data).grad).toBeNull();
  });
});
