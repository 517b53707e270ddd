import { describe, expect, it } from "vitest";
import { IntTensor, type Tensor } from "../../src/index.js";
import * as ops from "../../src/ops/index.js";
import { CASES, call, inputsOf, load, numbers, upstream } from "./support.js";

/** Of values around 1: some roundings of single precision. */
const TOLERANCE = 2e-6;

/** Compares values, by the largest one or 1 if all are small; NaN and infinity have to be the same. */
function expectClose(got: ArrayLike<number>, expected: readonly number[], what: string): void {
  expect(got.length, what).toBe(expected.length);
  for (const [i, value] of expected.entries()) {
    if (!Number.isFinite(value)) {
      expect(got[i], `${what}[${i}]`).toBe(value);
      continue;
    }
    const limit = TOLERANCE * Math.max(1, Math.abs(value));
    expect(Math.abs(got[i] - value), `${what}[${i}]: got ${got[i]}, expected ${value}`).toBeLessThanOrEqual(limit);
  }
}

describe.each([...new Set(CASES.map(({ op }) => op))])("%s", (op) => {
  it.each(
    CASES.filter((one) => one.op === op).map((one) => {
      const shapes = one.inputs.map(({ shape }) => `[${shape.join(", ")}]`).join(" ");
      return [`${shapes} ${JSON.stringify(one.args)}`, one] as const;
    }),
  )("gives PyTorch's values and gradients: %s", (_, one) => {
    const inputs = inputsOf(one);
    const outputs = call(one, inputs);
    expect(outputs.map(({ shape }) => shape)).toEqual(one.outputs.map(({ shape }) => shape));
    let loss: Tensor | null = null;
    for (const [i, out] of outputs.entries()) {
      const expected = load(one.outputs[i]);
      if (out instanceof IntTensor) {
        expect([...out.data], `output ${i}`).toEqual([...expected.data]);
        continue;
      }
      expectClose(out.data, [...expected.data], `output ${i}`);
      const part = out.mul(upstream(out)).sum();
      loss = loss === null ? part : loss.add(part);
    }
    if (one.grads === undefined) return;
    loss?.backward();
    for (const [i, input] of inputs.entries()) {
      const expected = one.grads[i];
      if (expected !== null) expectClose(input.grad?.data ?? [], numbers(expected), `gradient ${i}`);
    }
  });
});

/** Names of src/ops/index.ts that are tested by their own files. */
const ELSEWHERE = ["batchNorm", "detach", "embedding", "embeddingBag", "dropout"];

it("every operation has cases", () => {
  const tested = new Set([...CASES.map(({ op }) => op), ...ELSEWHERE]);
  expect(Object.keys(ops).filter((name) => !tested.has(name))).toEqual([]);
  expect(ELSEWHERE.filter((name) => !(name in ops))).toEqual([]);
});
