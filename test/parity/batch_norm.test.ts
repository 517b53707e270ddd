import { describe, expect, it } from "vitest";
import { BatchNorm1d } from "../../src/index.js";
import { expectClose } from "./close.js";
import { backward, gradOf, leaf, readFixture, type Stored } from "./fixture.js";

interface Step {
  training: boolean;
  x: Stored;
  upstream: Stored;
  out: Stored;
  grads: { x: Stored; weight: Stored; bias: Stored };
  running_mean: number[];
  running_var: number[];
  num_batches_tracked: number;
}

interface Case {
  options: { eps?: number; momentum?: number };
  weight: Stored;
  bias: Stored;
  steps: Step[];
}

/** Means over the rows, in another order: a few units of the last place (6e-8) of the column's largest terms. */
const TOLERANCE = { ofLargest: 1e-6 };
/** The gradient of x is what remains of terms of about 1 that cancel: of two rows nearly nothing does. */
const GRAD_X = { ofLargest: 1e-6, abs: 4e-6 };
const RUNNING = { rel: 1e-6, ofLargest: 1e-7 };

describe("BatchNorm1d is PyTorch's, step after step", () => {
  for (const { options, weight, bias, steps } of readFixture<{ cases: Case[] }>("batch_norm").cases) {
    it(`[${steps[0]?.x.shape}], options ${JSON.stringify(options)}`, () => {
      const layer = new BatchNorm1d(weight.values.length, options);
      layer.weight.data.set(weight.values);
      layer.bias.data.set(bias.values);
      steps.forEach((step, i) => {
        checkStep(layer, step, `${step.training ? "train" : "eval"} step ${i}`);
      });
    });
  }
});

function checkStep(layer: BatchNorm1d, step: Step, name: string): void {
  layer.train(step.training);
  for (const parameter of layer.parameters()) parameter.zeroGrad();
  const x = leaf(step.x);
  const out = layer.forward(x);
  expectClose(out.data, step.out.values, TOLERANCE, `${name}: out`);
  backward(out, step.upstream);
  expectClose(gradOf(x), step.grads.x.values, GRAD_X, `${name}: gradient of x`);
  expectClose(gradOf(layer.weight), step.grads.weight.values, TOLERANCE, `${name}: gradient of weight`);
  expectClose(gradOf(layer.bias), step.grads.bias.values, TOLERANCE, `${name}: gradient of bias`);
  expectClose(layer.runningMean.data, step.running_mean, RUNNING, `${name}: running_mean`);
  expectClose(layer.runningVar.data, step.running_var, RUNNING, `${name}: running_var`);
  expect(layer.numBatchesTracked).toBe(step.num_batches_tracked);
}
