import { describe, expect, it } from "vitest";
import { type AdamOptions, AdamW, Parameter, Tensor, tensor, zeros } from "../../src/index.js";
import { expectClose } from "../parity/close.js";

/** Some roundings of single precision (6e-8) a step. */
const CLOSE = { rel: 5e-7, abs: 1e-7 };
const parameter = (...values: number[]) => new Parameter(Float32Array.from(values));
/** What an optimizer keeps for its parameter of a number. */
const stateOf = (optimizer: AdamW, i = 0) => optimizer.state.get(optimizer.parameters[i]);
const give = (p: Parameter, ...grad: number[]) => {
  p.grad = tensor(grad);
};

describe("a step by hand", () => {
  it("the first one moves by lr against the sign of the gradient, whatever its size", () => {
    const p = parameter(1, 1, 1);
    const optimizer = new AdamW([p], { lr: 0.1, weightDecay: 0 });
    give(p, 5, -0.001, 0);
    optimizer.step();
    // m / (1 - beta1) is g, sqrt(v / (1 - beta2)) is |g|.
    expectClose(p.data, [0.9, 1 + 0.1 / (1 + 1e-8 / 1e-3), 1], CLOSE);
    expectClose(stateOf(optimizer)?.expAvg ?? [], [0.5, -0.0001, 0], CLOSE);
    expectClose(stateOf(optimizer)?.expAvgSq ?? [], [0.025, 1e-9, 0], CLOSE);
  });

  it("weight decay shrinks by lr times itself, apart from the gradient", () => {
    const p = parameter(2);
    const optimizer = new AdamW([p], { lr: 0.1, weightDecay: 0.5 });
    give(p, 0);
    optimizer.step();
    expectClose(p.data, [2 * (1 - 0.1 * 0.5)], CLOSE);
  });

  it("the second one averages", () => {
    const p = parameter(0);
    const optimizer = new AdamW([p], { lr: 1, betas: [0.5, 0.75], eps: 0, weightDecay: 0 });
    give(p, 2);
    optimizer.step();
    give(p, -1);
    optimizer.step();
    // m = 0.5 * 1 - 0.5 = 0 and then nothing moves: -1 from the first step alone.
    expectClose(p.data, [-1], CLOSE);
    expectClose(stateOf(optimizer)?.expAvgSq ?? [], [0.75 * 1 + 0.25], CLOSE);
  });

  it("lr 0 moves nothing, but the averages", () => {
    const p = parameter(3);
    const optimizer = new AdamW([p], { lr: 0 });
    give(p, 1);
    optimizer.step();
    expect([p.item(), stateOf(optimizer)?.step]).toEqual([3, 1]);
    expectClose(stateOf(optimizer)?.expAvg ?? [], [0.1], CLOSE);
  });
});

describe("a parameter without a gradient", () => {
  it("neither moves nor decays, and keeps its own count of steps", () => {
    const [moved, still] = [parameter(1, 2), parameter(3)];
    const optimizer = new AdamW([moved, still], { lr: 0.1, weightDecay: 0.5 });
    for (let step = 0; step < 3; step++) {
      give(moved, 1, 1);
      optimizer.step();
    }
    expect(still.item()).toBe(3);
    expect([stateOf(optimizer)?.step, stateOf(optimizer, 1)]).toEqual([3, undefined]);
  });

  it("that joins later is at its own first step: the same as alone", () => {
    const run = (late: boolean) => {
      const [first, second] = [parameter(1), parameter(1, -2)];
      const optimizer = new AdamW([first, second], { lr: 0.01 });
      for (let step = late ? -5 : 0; step < 2; step++) {
        give(first, step + 2);
        if (step >= 0) give(second, step - 1, 3);
        optimizer.step();
      }
      return [second.toArray(), stateOf(optimizer, 1)];
    };
    expect(run(true)).toEqual(run(false));
  });

  it("zeroGrad() takes all out of the next step; a step of nothing is nothing", () => {
    const p = parameter(1);
    const optimizer = new AdamW([p]);
    give(p, 1);
    optimizer.zeroGrad();
    expect(p.grad).toBeNull();
    optimizer.step();
    expect([p.item(), stateOf(optimizer)]).toEqual([1, undefined]);
  });

  it("a gradient of zeros is one: PyTorch decays there too", () => {
    const p = parameter(1);
    const optimizer = new AdamW([p], { lr: 0.1, weightDecay: 1 });
    give(p, 0);
    optimizer.step();
    expectClose(p.data, [0.9], CLOSE);
  });
});

describe("bad arguments", () => {
  it.each<AdamOptions>([
    { lr: -1e-3 },
    { lr: Number.NaN },
    { lr: Number.POSITIVE_INFINITY },
    { betas: [1, 0.999] },
    { betas: [0.9, -0.1] },
    { betas: [0.9, Number.NaN] },
    { eps: -1e-8 },
    { weightDecay: -1 },
    { lr: "0.1" as unknown as number },
    { amsgrad: 1 as unknown as boolean },
    { weigthDecay: 1 } as AdamOptions,
  ])("%j", (options) => {
    expect(() => new AdamW([parameter(1)], options)).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
  });

  it("no parameters, others than tensors, one twice", () => {
    const p = parameter(1);
    for (const list of [[], [p, 3], [p.data], p, [p, zeros([1]), p]]) {
      expect(() => new AdamW(list as Tensor[])).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
    }
  });

  it("a rate that was set to NaN stops the step, and nothing moved", () => {
    const p = parameter(1);
    const optimizer = new AdamW([p]);
    give(p, 1);
    optimizer.paramGroups[0].lr = Number.NaN;
    expect(() => optimizer.step()).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
    expect([p.item(), stateOf(optimizer)]).toEqual([1, undefined]);
  });

  it("a gradient that is the parameter's own memory", () => {
    const p = parameter(1, 2);
    p.grad = new Tensor(p.data);
    expect(() => new AdamW([p]).step()).toThrow(expect.objectContaining({ code: "OVERLAP" }));
  });
});
