import { afterEach, describe, expect, it } from "vitest";
import { tensor } from "../../src/index.js";
import { allocate, allocateBytes, emptyCache } from "../../src/tensor/buffer_pool.js";
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
