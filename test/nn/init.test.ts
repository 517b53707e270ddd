import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { init, Linear, manualSeed, ones, Parameter, type Tensor, zeros } from "../../src/index.js";

interface Drawn {
  seed: number;
  shape: number[];
  name: "uniform" | "normal" | "xavierUniform" | "xavierNormal" | "kaimingUniform" | "kaimingNormal";
  args: unknown[];
  values: number[];
}

const { drawn, gains }: { drawn: Drawn[]; gains: [name: init.Nonlinearity, ...numbers: number[]][] } = JSON.parse(
  readFileSync(new URL("fixtures/init.json", import.meta.url), "utf8"),
);
const call = (name: Drawn["name"], x: Tensor, ...args: unknown[]) =>
  (init[name] as (x: Tensor, ...args: unknown[]) => Tensor)(x, ...args);

describe("draws what PyTorch draws", () => {
  it.each(drawn.map((one) => [`${one.name} [${one.shape}] ${JSON.stringify(one.args)}`, one] as const))(
    "%s",
    (_, one) => {
      manualSeed(one.seed);
      const x = zeros(one.shape);
      expect(call(one.name, x, ...one.args)).toBe(x);
      expect([...x.data]).toEqual([...Float32Array.from(one.values)]);
    },
  );

  it.each(gains)("calculateGain(%s)", (name, ...numbers) => {
    const gain = numbers.pop() as number;
    expect(init.calculateGain(name, ...numbers)).toBe(gain);
  });
});

it("constant sets every element", () => {
  expect(init.constant(ones([2, 2]), 0.5).toArray()).toEqual([
    [0.5, 0.5],
    [0.5, 0.5],
  ]);
});

it.each<[call: () => unknown, message: string]>([
  [() => init.xavierUniform(zeros([3])), "xavierUniform: x: expected a shape [outputs, inputs, ...], got [3]"],
  [() => init.kaimingNormal(zeros([0, 3])), "kaimingNormal: x: expected at least one element, got none"],
  [
    () => call("kaimingNormal", zeros([2, 3]), { mode: "fan" }),
    'kaimingNormal: mode: expected "fan_in" or "fan_out", got "fan"',
  ],
  [() => call("kaimingNormal", zeros([2, 3]), { nonlinearity: "gelu" }), 'nonlinearity: expected "linear" or "conv1d"'],
  [
    () => call("kaimingNormal", zeros([2, 3]), "fan_out"),
    'kaimingNormal: expected options by their names, got "fan_out"',
  ],
  [() => init.normal(zeros([2]), 0, -1), "normal: std: expected a number of at least 0, got -1"],
  [() => init.uniform(zeros([2]), 1, 0), "to: expected a number of at least the start (1), got 0"],
  [
    () => init.constant(new Parameter(new Float32Array(1)), Number.NaN),
    "constant: value: expected a finite number, got NaN",
  ],
  [() => init.normal(new Linear(2, 2) as never), "normal: x: expected a Tensor, got a value of type Linear"],
])("refuses what does not fit: %#", (body, message) => {
  expect(body).toThrow(message);
});
