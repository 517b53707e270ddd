import { describe, it } from "vitest";
import { linearOp } from "../../src/ops/linear.js";
import { expectClose } from "./close.js";
import { backward, gradOf, leaf, readFixture, type Stored } from "./fixture.js";

interface Case {
  relu: boolean;
  inputs: { x: Stored; weight: Stored; bias?: Stored };
  upstream: Stored;
  out: Stored;
  grads: { x: Stored; weight: Stored; bias?: Stored };
}

/** Sums of up to 65 products in another order: a few units of the last place (6e-8) of what they add up. */
const TOLERANCE = { ofLargest: 5e-7 };

describe("linear is PyTorch's", () => {
  for (const { relu, inputs, upstream, out, grads } of readFixture<{ cases: Case[] }>("linear").cases) {
    const [[rows, width], outputs] = [inputs.x.shape, inputs.weight.shape[0]];
    it(`[${rows}, ${width}] to ${outputs}, ${inputs.bias ? "bias" : "no bias"}${relu ? ", ReLU" : ""}`, () => {
      const [x, weight, bias] = [leaf(inputs.x), leaf(inputs.weight), inputs.bias ? leaf(inputs.bias) : null];
      const actual = linearOp(bias === null ? [x, weight] : [x, weight, bias], { relu });
      expectClose(actual.data, out.values, TOLERANCE, "out");
      backward(actual, upstream);
      expectClose(gradOf(x), grads.x.values, TOLERANCE, "gradient of x");
      expectClose(gradOf(weight), grads.weight.values, TOLERANCE, "gradient of weight");
      if (bias && grads.bias) expectClose(gradOf(bias), grads.bias.values, TOLERANCE, "gradient of bias");
    });
  }
});
