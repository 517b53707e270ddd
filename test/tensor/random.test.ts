import { describe, expect, it } from "vitest";
import { F, Generator, manualSeed, ones, rand, randint, randn, randperm, withGenerator } from "../../src/index.js";
import { currentGenerator } from "../../src/tensor/random.js";

/** A few numbers of every kind. */
const draw = () => [
  ...randn([3]).data,
  ...randn([17]).data,
  ...rand([5], -2, 3).data,
  ...randint(-4, 9, [5]),
  ...randperm(7),
  ...F.dropout(ones([9]), 0.5).data,
];
const of = (seed: number | bigint) => withGenerator(new Generator(seed), draw);

describe("seeds", () => {
  it("the same seed gives the same numbers, another one others", () => {
    manualSeed(5);
    const first = draw();
    expect(draw()).not.toEqual(first);
    manualSeed(5);
    expect(draw()).toEqual(first);
    expect(of(6)).not.toEqual(first);
  });

  it("only the lower 32 bits count, as in PyTorch", () => {
    expect(of(2 ** 32 + 7)).toEqual(of(7));
    expect(of(2n ** 63n + 7n)).toEqual(of(7));
    expect(of(2n ** 64n - 1n)).toEqual(of(2 ** 32 - 1));
    expect(of(-1)).toEqual(of(2 ** 32 - 1));
    expect(of(-1n)).toEqual(of(2 ** 32 - 1));
    expect(of(Number.MAX_SAFE_INTEGER)).toEqual(of(BigInt(Number.MAX_SAFE_INTEGER)));
  });

  it.each([0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, "7", null, undefined])("no seed: %s", (seed) => {
    expect(() => manualSeed(seed as number)).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
  });
});

describe("generators", () => {
  it("nest, and give back the one before, also where the body throws", () => {
    const [outer, inner] = [new Generator(1), new Generator(2)];
    const before = currentGenerator();
    withGenerator(outer, () => {
      withGenerator(inner, () => expect(currentGenerator()).toBe(inner));
      expect(currentGenerator()).toBe(outer);
      expect(() => withGenerator(inner, () => randint(1, 0, [1]))).toThrow();
      expect(currentGenerator()).toBe(outer);
    });
    expect(currentGenerator()).toBe(before);
  });

  it.each<[() => unknown, string]>([
    [() => withGenerator(3 as never, draw), "generator: expected a Generator, got 3"],
    [() => withGenerator(new Generator(1), 3 as never), "body: expected a function, got 3"],
    [() => withGenerator(new Generator(1), async () => draw()), "body: expected a function that is not async"],
  ])("are refused: %#", (call, message) => {
    expect(call).toThrow(
      expect.objectContaining({ code: "BAD_ARGUMENT", message: expect.stringContaining(message) as unknown }),
    );
  });

  it("interleaved, do not disturb each other nor the global one", () => {
    const [a, b] = [new Generator(1), new Generator(2)];
    manualSeed(3);
    const interleaved = [1, 2, 3].map(() => [withGenerator(a, draw), draw(), withGenerator(b, draw)]);
    const alone = (seed: number) => {
      const generator = new Generator(seed);
      return [1, 2, 3].map(() => withGenerator(generator, draw));
    };
    const [ofA, ofGlobal, ofB] = [alone(1), alone(3), alone(2)];
    expect(interleaved).toEqual([0, 1, 2].map((i) => [ofA[i], ofGlobal[i], ofB[i]]));
  });

  it("manualSeed seeds the generator in force", () => {
    const generator = new Generator(1);
    const seeded = withGenerator(generator, () => {
      expect(manualSeed(9)).toBe(generator);
      return draw();
    });
    expect(seeded).toEqual(of(9));
  });

  it("the state, copied and put back, goes on where it stood, within a pair of normals too", () => {
    const generator = new Generator(4);
    withGenerator(generator, () => {
      randn([1]);
      const state = generator.state.slice();
      const first = draw();
      generator.state.set(state);
      expect(draw()).toEqual(first);
    });
  });
});

describe("bad arguments", () => {
  it.each<[string, () => unknown]>([
    ["randint of an empty range", () => randint(3, 3, [1])],
    ["randint of a fraction", () => randint(0, 2.5, [1])],
    ["randint past 32 bits", () => randint(0, 2 ** 31, [1])],
    ["randint of too many", () => randint(0, 2, [2 ** 31 - 1, 2 ** 31 - 1])],
    ["a generator from none", () => new Generator(1).copyFrom(null as never)],
    ["rand of a reversed range", () => rand([1], 2, 1)],
    ["rand of NaN", () => rand([1], Number.NaN, 1)],
    ["rand from no end", () => rand([1], Number.NEGATIVE_INFINITY, 1)],
    ["randn of a negative length", () => randn([-1])],
    ["randn of a fraction", () => randn([1.5])],
    ["randn of a bare number", () => randn(3 as unknown as number[])],
    ["randperm of -1", () => randperm(-1)],
  ])("%s", (_, call) => {
    expect(call).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
  });

  it("nothing of nothing", () => {
    expect([randn([0]).size, randperm(0).size, randint(0, 1, [2, 0]).size]).toEqual([0, 0, 0]);
  });
});
