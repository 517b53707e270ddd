import { Generator } from "distillery";
import { batchNormBackward, batchNormGradients, batchNormLayer, batchNormTrain, EPS } from "../baseline/batch_norm.js";
import { linearBackward, linearForward, linearGradients, linearLayer } from "../baseline/linear.js";
import { softmax } from "../baseline/losses.js";
import { dropout, MersenneTwister } from "../baseline/random.js";
import { native } from "../library.js";
import { both, type Case, draws, elementwise, numbers, product } from "./case.js";

const ROWS = 64;
const MOMENTUM = 0.1;

/** The layers of the script's networks, at batch 64. */
export function layerCases(): Case[] {
  return [
    linearForwardCase(784, 512),
    linearBackwardCase(512, 256),
    batchNormCase(2048),
    batchNormBackwardCase(2048),
    softmaxCase(10),
  ];
}

function linearForwardCase(inputs: number, outputs: number): Case {
  const [x, weight, bias] = [numbers(ROWS * inputs), numbers(outputs * inputs), numbers(outputs)];
  const layer = linearLayer(weight, bias, ROWS);
  const out = new Float32Array(ROWS * outputs);
  return {
    name: "linear + ReLU",
    shape: `${ROWS}×${inputs} → ${outputs}`,
    work: product(ROWS, inputs, outputs),
    kernel: () => native.linearForward(x, weight, bias, out, ROWS, inputs, outputs, true, false),
    plain: () => linearForward(layer, x, true),
    results: [out, layer.out],
  };
}

function linearBackwardCase(inputs: number, outputs: number): Case {
  const [x, weight, grad] = [numbers(ROWS * inputs), numbers(outputs * inputs), numbers(ROWS * outputs)];
  const layer = linearLayer(weight, numbers(outputs), ROWS);
  const grads = linearGradients(layer, true);
  const [gradWeight, gradBias] = [new Float32Array(weight.length), new Float32Array(outputs)];
  const gradX = new Float32Array(x.length);
  return {
    name: "linear, gradients",
    shape: `${ROWS}×${inputs} → ${outputs}`,
    work: both(product(outputs, ROWS, inputs), product(ROWS, outputs, inputs)),
    kernel: () => native.linearBackward(grad, x, weight, gradX, gradWeight, gradBias, ROWS, inputs, outputs, false),
    plain: () => linearBackward(layer, grads, x, grad),
    results: [gradWeight, grads.weight],
  };
}

function batchNormCase(features: number): Case {
  const [x, weight, bias] = [numbers(ROWS * features), numbers(features), numbers(features)];
  const [mean, invStd] = [new Float32Array(features), new Float32Array(features)];
  const [runningMean, runningVar] = [new Float32Array(features), new Float32Array(features).fill(1)];
  const norm = { weight, bias, runningMean, runningVar, train: true, eps: EPS, momentum: 0.1 };
  const layer = batchNormLayer(weight, bias, runningMean.slice(), runningVar.slice());
  const [normal, out, outPlain] = [new Float32Array(x.length), new Float32Array(x.length), new Float32Array(x.length)];
  return {
    name: "batch norm (train) + ReLU",
    shape: `${ROWS}×${features}`,
    work: elementwise(x.length, 7, x.length, out.length),
    kernel: () => {
      native.batchNormForward({
        x,
        norm,
        addend: null,
        relu: false,
        mean,
        invStd,
        out: normal,
        rows: ROWS,
        features,
        length: 1,
      });
      native.reluForward(normal, out);
    },
    plain: () => batchNormTrain(layer, x, outPlain, ROWS),
    results: [out, outPlain],
  };
}

function batchNormBackwardCase(features: number): Case {
  const [x, weight, grad] = [numbers(ROWS * features), numbers(features), numbers(ROWS * features).reverse()];
  const layer = batchNormLayer(weight, numbers(features), new Float32Array(features), new Float32Array(features));
  batchNormTrain(layer, x, new Float32Array(x.length), ROWS);
  const mean = Float32Array.from(layer.mean);
  const invStd = Float32Array.from(layer.variance, (variance) => 1 / Math.sqrt(variance + EPS));
  const [gradWeight, gradBias] = [new Float32Array(features), new Float32Array(features)];
  const grads = batchNormGradients(layer);
  const [gradX, gradPlain] = [new Float32Array(x.length), new Float32Array(x.length)];
  return {
    name: "batch norm, gradients",
    shape: `${ROWS}×${features}`,
    work: elementwise(x.length, 9, x.length, grad.length, gradX.length),
    kernel: () =>
      native.batchNormBackward({
        y: null,
        gradAddend: null,
        grad,
        saved: { x, mean, invStd, train: true },
        weight,
        bias: layer.bias,
        gradients: { x: gradX, weight: gradWeight, bias: gradBias },
        rows: ROWS,
        features,
        length: 1,
      }),
    plain: () => batchNormBackward(layer, grads, x, grad, gradPlain, ROWS),
    results: [gradX, gradPlain],
  };
}

function softmaxCase(classes: number): Case {
  const x = numbers(ROWS * classes);
  const [out, outPlain] = [new Float32Array(x.length), new Float32Array(x.length)];
  return {
    name: "softmax",
    shape: `${ROWS}×${classes}`,
    work: elementwise(x.length, 5, x.length, out.length),
    kernel: () => native.softmaxForward(x, out, ROWS, classes, false),
    plain: () => softmax(x, outPlain, ROWS, classes),
    results: [out, outPlain],
  };
}

/** The teacher's hidden layers as one kernel, at batch 64 in train mode. */
export function hiddenCases(): Case[] {
  return [
    hiddenCase("teacher's layer 1, whole", 784, 2048, 0.3),
    hiddenCase("teacher's layer 2, whole", 2048, 1024, 0.3),
    hiddenCase("teacher's layer 3, whole", 1024, 512, 0.2),
  ];
}

/** Linear, batch norm, ReLU and dropout with its mask. */
function hiddenCase(name: string, inputs: number, features: number, p: number): Case {
  const size = ROWS * features;
  const [input, weight, bias] = [numbers(ROWS * inputs), numbers(features * inputs), numbers(features)];
  const { norm, mean, invStd, layer, state, random, mask, keep } = layerMemory(size, features);
  const [x, out, outPlain] = [new Float32Array(size), new Float32Array(size), new Float32Array(size)];
  const linear = linearLayer(weight, bias, ROWS);
  const more = both(elementwise(size, 7, size, size), draws(size, size / 4));
  return {
    name,
    shape: `${ROWS}×${inputs} → ${features}`,
    work: both(product(ROWS, inputs, features), more),
    kernel: () =>
      native.linearNormReluDropoutForward({
        linear: { x: input, weight, bias, bfloat16: false },
        norm,
        dropout: { p, mask, state },
        linearOut: x,
        mean,
        invStd,
        out,
        rows: ROWS,
        inputs,
        features,
      }),
    plain: () => {
      batchNormTrain(layer, linearForward(linear, input, false), outPlain, ROWS);
      dropout(outPlain, p, random, keep);
    },
    results: [out, outPlain],
  };
}

/** What a batch norm and a dropout hold, for the kernel and for plain TypeScript. */
function layerMemory(size: number, features: number) {
  const [weight, bias] = [numbers(features), numbers(features).reverse()];
  const floats = () => new Float32Array(features);
  const { state } = new Generator(0);
  return {
    norm: {
      weight,
      bias,
      runningMean: floats(),
      runningVar: floats().fill(1),
      train: true,
      eps: EPS,
      momentum: MOMENTUM,
    },
    mean: floats(),
    invStd: floats(),
    layer: batchNormLayer(weight, bias, floats(), floats().fill(1)),
    state,
    random: new MersenneTwister(state.slice()),
    mask: new Uint8Array(size),
    keep: new Uint8Array(size),
  };
}

/** What draws from the random stream. */
export function randomCases(): Case[] {
  return [dropoutCase(64 * 2048), uniformCase(64 * 2048)];
}

function dropoutCase(count: number): Case {
  const { state } = new Generator(0);
  const random = new MersenneTwister(state.slice());
  const x = numbers(count);
  const [out, mask] = [new Float32Array(count), new Uint8Array(count)];
  const [inPlace, maskPlain] = [x.slice(), new Uint8Array(count)];
  return {
    name: "dropout, with its mask",
    shape: String(count),
    work: draws(count, x.length, out.length, mask.length / 4),
    kernel: () => native.dropoutForward(x, 0.3, state, mask, out),
    plain: () => dropout(inPlace, 0.3, random, maskPlain),
    results: [out, inPlace],
  };
}

function uniformCase(count: number): Case {
  const { state } = new Generator(0);
  const random = new MersenneTwister(state.slice());
  const [out, outPlain] = [new Float32Array(count), new Float32Array(count)];
  return {
    name: "random stream, uniforms",
    shape: String(count),
    work: draws(count, out.length),
    kernel: () => native.randomUniform(state, out, -1, 1),
    plain: () => random.uniform(outPlain, -1, 1),
    results: [out, outPlain],
  };
}
