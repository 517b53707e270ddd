import { describe, expect, test } from "vitest";
import { BatchNorm1d, Dropout, LayerNorm, Linear, manualSeed, ReLU, randn, Sequential } from "../../src/index.js";
import { Mlp } from "../../src/models/mlp.js";
import { gelu, relu, sigmoid, silu, tanh } from "../../src/ops/index.js";

const ACTIVATIONS = { relu, tanh, gelu, silu, sigmoid };
const sizes = { inFeatures: 5, classes: 3 };

/** The same layers, drawn in the same order, one after another. */
const layers = (dropout: number) =>
  new Sequential(
    ...[new Linear(5, 7), new BatchNorm1d(7), new ReLU(), new Dropout(dropout)],
    ...[new Linear(7, 6), new BatchNorm1d(6), new ReLU(), new Dropout(dropout), new Linear(6, 3)],
  );

describe("computes what its layers compute one after another, with the same draws", () => {
  test.each([0, 0.5])("dropout %d, in both modes", (dropout) => {
    manualSeed(1);
    const mlp = new Mlp({ ...sizes, hidden: [7, 6], norm: "batch", dropout });
    manualSeed(1);
    const sequential = layers(dropout);
    const x = randn([8, 5]);
    for (const mode of [true, false]) {
      manualSeed(2);
      const got = mlp.train(mode).forward(x).data;
      manualSeed(2);
      expect(got).toEqual(sequential.train(mode).forward(x).data);
    }
  });

  test.each(["relu", "tanh", "gelu", "silu", "sigmoid"] as const)("activation %s", (activation) => {
    manualSeed(1);
    const mlp = new Mlp({ ...sizes, hidden: [7], activation });
    manualSeed(1);
    const [first, second] = [new Linear(5, 7), new Linear(7, 3)];
    const x = randn([4, 5]);
    expect(mlp.forward(x).data).toEqual(second.forward(ACTIVATIONS[activation](first.forward(x))).data);
  });

  test("no hidden layer: a linear classifier", () => {
    manualSeed(1);
    const mlp = new Mlp({ ...sizes, hidden: [] });
    manualSeed(1);
    const linear = new Linear(5, 3);
    const x = randn([2, 5]);
    expect(mlp.forward(x).data).toEqual(linear.forward(x).data);
  });

  test("samples of several axes are flattened", () => {
    const mlp = new Mlp({ ...sizes, inFeatures: 6, hidden: [4] });
    const x = randn([2, 6]);
    expect(mlp.forward(x.reshape([2, 1, 2, 3])).data).toEqual(mlp.forward(x).data);
  });
});

test("norm=layer normalises each hidden product by itself", () => {
  manualSeed(1);
  const mlp = new Mlp({ ...sizes, hidden: [7], norm: "layer" });
  manualSeed(1);
  const sequential = new Sequential(new Linear(5, 7), new LayerNorm(7), new ReLU(), new Linear(7, 3));
  const x = randn([2, 5]);
  expect(mlp.forward(x).data).toEqual(sequential.forward(x).data);
  expect(Object.keys(mlp.stateDict())).toContain("ln1.weight");
});

test("its state dict has the keys of the same network in PyTorch", () => {
  expect(Object.keys(new Mlp({ ...sizes, hidden: [4, 2], norm: "batch", dropout: 0.1 }).stateDict())).toEqual([
    "fc1.weight",
    "fc1.bias",
    "bn1.weight",
    "bn1.bias",
    "bn1.running_mean",
    "bn1.running_var",
    "bn1.num_batches_tracked",
    "fc2.weight",
    "fc2.bias",
    "bn2.weight",
    "bn2.bias",
    "bn2.running_mean",
    "bn2.running_var",
    "bn2.num_batches_tracked",
    "fc3.weight",
    "fc3.bias",
  ]);
  expect(Object.keys(new Mlp({ ...sizes, hidden: [4] }).stateDict())).toEqual([
    "fc1.weight",
    "fc1.bias",
    "fc2.weight",
    "fc2.bias",
  ]);
});
