import { describe, it } from "vitest";
import { F, type Tensor } from "../../src/index.js";
import { expectClose, type Tolerance } from "./close.js";
import { backward, gradOf, leaf, readFixture, type Stored } from "./fixture.js";

type Name = "relu" | "softmax" | "log_softmax";

interface Case {
  x: Stored;
  upstream: Stored;
  results: Record<Name, { out: Stored; grad: Stored }>;
}

const OPS: Record<Name, (x: Tensor) => Tensor> = {
  relu: F.relu,
  softmax: (x) => F.softmax(x, 1),
  log_softmax: (x) => F.logSoftmax(x, 1),
};

/** ReLU moves bits. The others are twice as far as PyTorch is from the same in double precision. */
const OUT: Record<Name, Tolerance> = {
  relu: {},
  softmax: { rel: 2e-6, abs: 1e-7 },
  log_softmax: { rel: 2e-6, abs: 2e-6 },
};
const GRAD: Record<Name, Tolerance> = {
  relu: {},
  softmax: { rel: 1e-6, abs: 4e-7 },
  log_softmax: { rel: 1e-6, abs: 5e-6 },
};

describe("activations are PyTorch's", () => {
  for (const { x, upstream, results } of readFixture<{ cases: Case[] }>("activations").cases) {
    it.each(Object.keys(OPS) as Name[])(`%s of [${x.shape}]`, (name) => {
      const input = leaf(x);
      const out = OPS[name](input);
      expectClose(out.data, results[name].out.values, OUT[name], "out");
      backward(out, upstream);
      expectClose(gradOf(input), results[name].grad.values, GRAD[name], "gradient");
    });
  }
});
