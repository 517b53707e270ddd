import { describe, expect, it } from "vitest";
import { Dropout, F, Generator, manualSeed, ones, type Tensor, tensor, withGenerator, zeros } from "../../src/index.js";
import { checkGradients, leaves } from "../tensor/finite_differences.js";

/** Dropout whose mask is the same in every call. */
const fixed = (p: number) => (x: Tensor) => withGenerator(new Generator(7), () => F.dropout(x, p));

describe("gradients with the mask held", () => {
  it.each([[[1]], [[7]], [[3, 5]], [[13, 17]], [[2, 3, 5]]])("of [%s]", (shape) => {
    for (const p of [0, 0.2, 0.5, 0.9, 1]) checkGradients(fixed(p), leaves([shape]));
  });

  it("the gradient has the mask of its own pass, not of a later one", () => {
    manualSeed(1);
    const x = tensor(new Float32Array(64).fill(1), { requiresGrad: true });
    const first = F.dropout(x, 0.5);
    F.dropout(x, 0.5);
    first.sum().backward();
    expect(x.grad?.toArray()).toEqual(first.toArray());
  });
});

describe("values", () => {
  it("are zero or x / (1 - p), about as often as p says", () => {
    manualSeed(3);
    const out = F.dropout(ones([10_000]), 0.2);
    expect(new Set(out.data)).toEqual(new Set([0, 1.25]));
    const zeroed = out.data.filter((value) => value === 0).length;
    expect(Math.abs(zeroed - 2000)).toBeLessThan(5 * 40); // five times the standard deviation
  });

  it("all go at p = 1, and none at p = 0", () => {
    expect(F.dropout(ones([5]), 1).toArray()).toEqual([0, 0, 0, 0, 0]);
    const x = ones([5]);
    expect(F.dropout(x, 0)).toBe(x);
  });
});

describe("the layer", () => {
  it("drops in train mode only; eval gives x itself and draws nothing", () => {
    const [layer, x] = [new Dropout(0.5), ones([64])];
    const generator = manualSeed(5);
    expect(layer.forward(x).toArray()).toContain(0);
    const state = generator.state.slice();
    expect(layer.eval().forward(x)).toBe(x);
    expect(generator.state).toEqual(state);
    expect(layer.train().forward(x).toArray()).toContain(0);
    expect(generator.state).not.toEqual(state);
  });

  it("frozen, it still drops", () => {
    manualSeed(5);
    expect(
      new Dropout(0.5)
        .freeze()
        .forward(ones([64]))
        .toArray(),
    ).toContain(0);
  });

  it.each([-0.1, 1.1, Number.NaN, "0.5", null])("no chance is %s", (p) => {
    expect(() => new Dropout(p as number)).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
    expect(() => F.dropout(zeros([1]), p as number)).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
  });
});
