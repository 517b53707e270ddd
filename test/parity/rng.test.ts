import { describe, expect, it } from "vitest";
import { F, manualSeed, ones, rand, randint, randn, randperm } from "../../src/index.js";
import { expectClose } from "./close.js";
import { readFixture } from "./fixture.js";

type Draw =
  | { op: "seed"; seed: number }
  | { op: "rand" | "randn"; shape: number[]; values: number[] }
  | { op: "uniform"; shape: number[]; from: number; to: number; values: number[] }
  | { op: "randint"; low: number; high: number; shape: number[]; values: number[] }
  | { op: "randperm"; n: number; values: number[] }
  | { op: "dropout"; shape: number[]; p: number; kept: string; scale: number };

interface Program {
  name: string;
  seed: string;
  program: Draw[];
}

/** Everything but normals is the same to the bit. */
const EXACT = {};
/** Logarithm, sine and cosine of single precision differ by a few units of the last place between vector libraries. */
const NORMAL = { abs: 1e-6, rel: 1e-6 };

describe("the random stream is PyTorch's", () => {
  it.each(readFixture<{ programs: Program[] }>("rng").programs)("$name, seed $seed", ({ seed, program }) => {
    manualSeed(BigInt(seed));
    program.forEach((draw, i) => {
      check(draw, `draw ${i}, ${draw.op}`);
    });
  });
});

function check(draw: Draw, what: string): void {
  switch (draw.op) {
    case "seed":
      manualSeed(draw.seed);
      return;
    case "rand":
      expectClose(rand(draw.shape).data, draw.values, EXACT, what);
      return;
    case "uniform":
      expectClose(rand(draw.shape, draw.from, draw.to).data, draw.values, EXACT, what);
      return;
    case "randn":
      expectClose(randn(draw.shape).data, draw.values, NORMAL, what);
      return;
    case "randint": {
      const drawn = randint(draw.low, draw.high, draw.shape);
      expect(drawn.shape).toEqual(draw.shape);
      expectClose(drawn.data, draw.values, EXACT, `${what} ${draw.low} to ${draw.high}`);
      return;
    }
    case "randperm":
      expectClose(randperm(draw.n).data, draw.values, EXACT, `${what} of ${draw.n}`);
      return;
    case "dropout": {
      const values = Array.from(draw.kept, (bit) => (bit === "1" ? draw.scale : 0));
      expectClose(F.dropout(ones(draw.shape), draw.p, true).data, values, EXACT, `${what} p=${draw.p}`);
    }
  }
}
