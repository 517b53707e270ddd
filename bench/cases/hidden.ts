import { Generator } from "distillery";
import { batchNormLayer, batchNormTrain } from "../baseline/batch_norm.js";
import { dropout } from "../baseline/dropout.js";
import { linearForward, linearLayer } from "../baseline/linear.js";
import { MersenneTwister } from "../baseline/rng.js";
import { native } from "../native.js";
import { type Case, numbers } from "./case.js";
import { both, draws, elementwise, product } from "./work.js";

const ROWS = 64;
const [EPS, MOMENTUM] = [1e-5, 0.1];

/** The teacher's hidden layers as one kernel, at batch 64 in train mode. */
export function hiddenCases(): Case[] {
  return [
    hiddenCase("teacher's layer 1, whole", 784, 2048, 0.3),
    hiddenCase("teacher's layer 2, whole", 2048, 1024, 0.3),
    hiddenCase("teacher's layer 3, whole", 1024, 512, 0.2),
    normCase(2048, 0.3),
  ];
}

/** Linear, batch norm, ReLU and dropout with its mask. */
function hiddenCase(name: string, inputs: number, features: number, p: number): Case {
  const size = ROWS * features;
  const [input, weight, bias] = [numbers(ROWS * inputs), numbers(features * inputs), numbers(features)];
  const { gamma, beta, running, saved, layer, state, random, mask, keep } = layerMemory(size, features);
  const [x, out, outPlain] = [new Float32Array(size), new Float32Array(size), new Float32Array(size)];
  const linear = linearLayer(weight, bias, ROWS);
  const more = both(elementwise(size, 7, size, size), draws(size, size / 4));
  return {
    name,
    shape: `${ROWS}×${inputs} → ${features}`,
    work: both(product(ROWS, inputs, features), more),
    kernel: () =>
      native.linearNormReluDropoutForward(
        ...([input, weight, bias, x, gamma, beta] as const),
        ...([...running, ...saved] as const),
        ...([out, mask, state, ROWS, inputs, features, true, EPS, MOMENTUM, p] as const),
      ),
    plain: () => {
      batchNormTrain(layer, linearForward(linear, input, false), outPlain, ROWS);
      dropout(outPlain, p, random, keep);
    },
    results: [out, outPlain],
  };
}

/** Batch norm, ReLU and dropout with its mask. */
function normCase(features: number, p: number): Case {
  const size = ROWS * features;
  const x = numbers(size);
  const { gamma, beta, running, saved, layer, state, random, mask, keep } = layerMemory(size, features);
  const [out, outPlain] = [new Float32Array(size), new Float32Array(size)];
  return {
    name: "batch norm, ReLU, dropout in one",
    shape: `${ROWS}×${features}`,
    work: both(draws(size, size / 4), elementwise(size, 7, size, size)),
    kernel: () =>
      native.normReluDropoutForward(
        ...([x, gamma, beta, ...running, ...saved] as const),
        ...([out, mask, state, ROWS, features, true, EPS, MOMENTUM, p] as const),
      ),
    plain: () => {
      batchNormTrain(layer, x, outPlain, ROWS);
      dropout(outPlain, p, random, keep);
    },
    results: [out, outPlain],
  };
}

/** What a batch norm and a dropout hold, for the kernel and for plain TypeScript. */
function layerMemory(size: number, features: number) {
  const [gamma, beta] = [numbers(features), numbers(features).reverse()];
  const floats = () => new Float32Array(features);
  const { state } = new Generator(0);
  return {
    gamma,
    beta,
    running: [floats(), floats().fill(1)] as const,
    saved: [floats(), floats()] as const,
    layer: batchNormLayer(gamma, beta, floats(), floats().fill(1)),
    state,
    random: new MersenneTwister(state.slice()),
    mask: new Uint8Array(size),
    keep: new Uint8Array(size),
  };
}
