import { afterEach, describe, expect, it } from "vitest";
import { frozen, Linear, Sequential, type Tensor, TensorDataset, tensor, zeros } from "../../src/index.js";
import { native } from "../../src/native.js";
import { allocate, allocateBytes, cachedBytes, emptyCache } from "../../src/tensor/buffer_pool.js";
import { withArena } from "../../src/tensor/step.js";

afterEach(emptyCache);

describe("withArena memory", () => {
  it("is handed out again after the scope, by size", () => {
    const [first, bytes] = withArena(() => [allocate(7), allocateBytes(7)]);
    const [again, other] = withArena(() => [allocate(7), allocate(8)]);
    expect(again).toBe(first);
    expect(other).toHaveLength(8);
    expect(withArena(() => allocateBytes(7))).toBe(bytes);
  });

  it("has its own buffer, from a huge page's beginning on if it is long", () => {
    const length = 2 ** 20;
    const [first, second] = withArena(() => [allocate(length), allocate(length)]);
    expect([first.length, second.length, first[length - 1]]).toEqual([length, length, 0]);
    expect(first.buffer).not.toBe(second.buffer);
    expect(native.useHugePages(new Uint8Array(first.buffer))).toBe(first.byteOffset);
  });

  it("is not handed out twice within one, nor to a scope inside", () => {
    withArena(() => {
      const arrays = [allocate(5), allocate(5), withArena(() => allocate(5))];
      expect(new Set(arrays).size).toBe(3);
    });
  });

  it("outlives a scope inside", () => {
    withArena(() => {
      const outer = allocate(5).fill(1);
      withArena(() => allocate(5).fill(2));
      allocate(5).fill(3);
      expect([...outer]).toEqual([1, 1, 1, 1, 1]);
    });
  });

  it("comes back where the body throws", () => {
    let array: Float32Array | null = null;
    const fail = () => {
      array = allocate(9);
      throw new RangeError("of the body");
    };
    expect(() => withArena(fail)).toThrow(RangeError);
    expect(withArena(() => allocate(9))).toBe(array);
  });

  it("is plain outside of scopes, and released on demand", () => {
    expect(allocate(4)).not.toBe(allocate(4));
    const array = withArena(() => allocate(4));
    emptyCache();
    expect(withArena(() => allocate(4))).not.toBe(array);
  });

  it("gradients of leaves stay valid after it", () => {
    const x = tensor([1, 2, 3], { requiresGrad: true });
    withArena(() => x.mul(x).sum().backward());
    withArena(() => allocate(3).fill(99));
    expect(x.grad?.toArray()).toEqual([2, 4, 6]);
  });
});

describe("memory that waits", () => {
  it("is at most twice what was in use at once, the lengths that came back longest ago dropped first", () => {
    emptyCache();
    for (let length = 1; length <= 100; length++) {
      withArena(() => [allocate(length), allocate(length), allocateBytes(length)]);
      expect(cachedBytes()).toBeLessThanOrEqual(2 * length * (2 * 4 + 1));
    }
    const array = withArena(() => allocate(100));
    withArena(() => allocate(1));
    expect(withArena(() => allocate(100))).toBe(array);
  });

  it("is that of a scope that used more before", () => {
    const sizes = [40, 30, 20, 10];
    const arrays = withArena(() => sizes.map(allocate));
    for (const [i, size] of sizes.entries()) expect(withArena(() => allocate(size))).toBe(arrays[i]);
  });
});

describe("the memory of a backward pass grows as its tensors", () => {
  const bytes = (steps: number, loss: (x: Tensor) => Tensor) => {
    emptyCache();
    const x = zeros([steps, 8], { requiresGrad: true });
    withArena(() => loss(x).backward());
    expect(x.grad?.data.every((g) => g === 1)).toBe(true);
    return cachedBytes();
  };
  const steps = (x: Tensor) => Array.from({ length: x.shape[0] }, (_, t) => x.slice(t, t + 1));

  it.each<[string, (x: Tensor) => Tensor]>([
    [
      "rows of a leaf",
      (x) =>
        steps(x)
          .reduce((sum, row) => sum.add(row))
          .sum(),
    ],
    [
      "rows of a result",
      (x) =>
        steps(x.add(1))
          .reduce((sum, row) => sum.add(row))
          .sum(),
    ],
  ])("%s", (_, loss) => {
    const [one, two] = [100, 200].map((length) => bytes(length, loss));
    expect(two).toBeLessThan(2.5 * one);
  });

  it("a chain of calls needs room for the gradients of one call", () => {
    const [calls, size] = [50, 1000];
    const x = zeros([size], { requiresGrad: true });
    emptyCache();
    withArena(() => {
      let y: Tensor = x;
      for (let i = 0; i < calls; i++) y = y.add(1);
      y.sum().backward();
    });
    expect(cachedBytes()).toBeLessThan((calls + 4) * size * 4);
  });
});

it("of the trace of a frozen teacher is not kept: each layer's outputs for the first batch", () => {
  const [layers, rows, width] = [20, 64, 32];
  const network = new Sequential(...Array.from({ length: layers }, () => new Linear(width, width)));
  const batch = new TensorDataset(zeros([rows, width]), new Int32Array(rows)).slice(0, rows);
  const teacher = frozen(network);
  emptyCache();
  withArena(() => teacher.outputs(batch));
  expect(cachedBytes()).toBe(4 * rows * width);
});
