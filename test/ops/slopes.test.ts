import { describe, it } from "vitest";
import type { Tensor } from "../../src/index.js";
import { checkGradients } from "../tensor/finite_differences.js";
import { CASES, call, inputsOf } from "./support.js";

/** Numbers that are not multiples of the usual 1/32 step: a smaller one crosses no bound, and rounds more. */
const STEP = 2 ** -8;
const TOLERANCE = { abs: 2e-4, rel: 2e-4, ofLargest: 2e-4 };

/** Comparisons and places have no gradient. */
const smooth = CASES.filter(({ grads, kink, inputs }) => grads !== undefined && !kink && inputs.length > 0);

describe.each([...new Set(smooth.map(({ op }) => op))])("%s", (op) => {
  it("has the gradient of central differences", () => {
    for (const one of smooth.filter((one) => one.op === op)) {
      const size = one.outputs.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
      if (size === 0) continue;
      checkGradients((...inputs) => call(one, inputs)[0] as Tensor, inputsOf(one), {
        step: STEP,
        tolerance: TOLERANCE,
      });
    }
  });
});
