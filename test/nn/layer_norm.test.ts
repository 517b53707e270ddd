import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { LayerNorm, Tensor, tensor } from "../../src/index.js";
import { expectClose } from "../parity/close.js";

interface Case {
  shape: number[];
  normalizedShape: number[];
  options: { eps?: number; bias?: boolean; elementwise_affine?: boolean };
  repr: string;
  x: number[];
  upstream: number[];
  state: Record<string, number[]>;
  y: number[];
  gradX: number[];
  grads: Record<string, number[]>;
}

const CASES = JSON.parse(readFileSync(new URL("fixtures/layer_norm.json", import.meta.url), "utf8")) as Case[];

describe("equals torch.nn.LayerNorm", () => {
  test.each(CASES.map((one) => [one.repr, one] as const))("%s", (repr, one) => {
    const { elementwise_affine: elementwiseAffine = true, ...options } = one.options;
    const layer = new LayerNorm(one.normalizedShape, { ...options, elementwiseAffine });
    expect(String(layer).split("\n")[0]).toBe(repr);
    expect(Object.keys(layer.stateDict())).toEqual(Object.keys(one.state));
    layer.loadStateDict(
      Object.fromEntries(
        Object.entries(one.state).map(([key, data]) => [key, new Tensor(Float32Array.from(data), one.normalizedShape)]),
      ),
    );
    const x = new Tensor(Float32Array.from(one.x), one.shape, { requiresGrad: true });
    const y = layer.forward(x);
    y.mul(new Tensor(Float32Array.from(one.upstream), one.shape))
      .sum()
      .backward();
    // Relative to the largest value, as sums of both signs may end near 0.
    const close = (got: Float32Array | undefined, wanted: number[]) =>
      expectClose([...(got ?? [])], wanted, { abs: 2e-6 * Math.max(1, ...wanted.map(Math.abs)) });
    close(y.data, one.y);
    close(x.grad?.data, one.gradX);
    for (const [name, parameter] of layer.namedParameters()) close(parameter.grad?.data, one.grads[name]);
  });
});

test("one feature alone becomes the bias, and x gets no gradient", () => {
  const layer = new LayerNorm(1);
  layer.bias?.data.set([0.5]);
  const x = tensor([[3], [-7]], { requiresGrad: true });
  const y = layer.forward(x);
  y.sum().backward();
  expect([y.toArray(), x.grad?.toArray()]).toEqual([
    [[0.5], [0.5]],
    [[0], [0]],
  ]);
});

test("refuses other last axes, and options that do not exist", () => {
  const layer = new LayerNorm([2, 3]);
  expect(() => layer.forward(tensor([[1, 2, 3]]))).toThrow(
    "LayerNorm: last axes of x: expected shape [2, 3], got [1, 3]",
  );
  expect(() => new LayerNorm(3, { epsilon: 1 } as never)).toThrow('LayerNorm: unknown option "epsilon"');
  expect(() => new LayerNorm([])).toThrow("normalizedShape: expected at least one length, got []");
});
