import { describe, expect, it } from "vitest";
import { clipGradNorm, Tensor, zeros } from "../../src/index.js";
import { expectClose } from "./close.js";
import { constant, gradOf, readFixture, type Stored } from "./fixture.js";

interface Case {
  name: string;
  max_norm: number;
  grads: Stored[];
  norm: number;
  clipped: number[][];
}

/** A sum of squares in another order, then one rounding an element: units of the last place (6e-8). */
const TOLERANCE = { rel: 5e-7 };

describe("clipGradNorm is PyTorch's clip_grad_norm_", () => {
  it.each(readFixture<{ cases: Case[] }>("clip_grad_norm").cases)("$name", ({ max_norm, grads, norm, clipped }) => {
    const params = grads.map((grad) => {
      const param = new Tensor(new Float32Array(grad.values.length), grad.shape, { requiresGrad: true });
      param.grad = constant(grad);
      return param;
    });
    const without = zeros([3]);
    expectClose([clipGradNorm([...params, without], max_norm)], [norm], TOLERANCE, "norm");
    params.forEach((param, i) => {
      expectClose(gradOf(param), clipped[i] ?? [], TOLERANCE, `gradient ${i}`);
    });
    expect(without.grad).toBeNull();
  });
});
