import { Generator } from "distillery";
import { batchNormLayer, batchNormTrain } from "../baseline/batch_norm.js";
import { dropout } from "../baseline/dropout.js";
import { linearBackward, linearForward, linearGradients, linearLayer } from "../baseline/linear.js";
import { MersenneTwister } from "../baseline/rng.js";
import { softmax } from "../baseline/softmax.js";
import { native } from "../native.js";
import { bytes, type Case, numbers, productFlops } from "./case.js";

const ROWS = 64;

/** The layers of the script's networks, at batch 64. */
export function layerCases(): Case[] {
  return [
    linearForwardCase(784, 512),
    linearBackwardCase(512, 256),
    batchNormCase(2048),
    dropoutCase(2048),
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
    work: productFlops(ROWS, inputs, outputs),
    kernel: () => native.linearForward(x, weight, bias, out, ROWS, inputs, outputs, true),
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
  const { amount, unit } = productFlops(ROWS, inputs, outputs);
  return {
    name: "linear, gradients",
    shape: `${ROWS}×${inputs} → ${outputs}`,
    work: { amount: 2 * amount, unit },
    kernel: () => {
      native.matmulTn(grad, x, gradWeight, outputs, ROWS, inputs);
      native.linearBackwardBias(grad, gradBias, ROWS, outputs);
      native.matmul(grad, weight, gradX, ROWS, outputs, inputs);
    },
    plain: () => linearBackward(layer, grads, x, grad),
    results: [gradWeight, grads.weight],
  };
}

function batchNormCase(features: number): Case {
  const [x, weight, bias] = [numbers(ROWS * features), numbers(features), numbers(features)];
  const [mean, invStd] = [new Float32Array(features), new Float32Array(features)];
  const [runningMean, runningVar] = [new Float32Array(features), new Float32Array(features).fill(1)];
  const layer = batchNormLayer(weight, bias, runningMean.slice(), runningVar.slice());
  const [normal, out, outPlain] = [new Float32Array(x.length), new Float32Array(x.length), new Float32Array(x.length)];
  return {
    name: "batch norm (train) + ReLU",
    shape: `${ROWS}×${features}`,
    work: bytes(x.length, x.length, x.length, out.length),
    kernel: () => {
      native.batchNormTrain(x, weight, bias, runningMean, runningVar, mean, invStd, normal, ROWS, features, 1e-5, 0.1);
      native.reluForward(normal, out);
    },
    plain: () => batchNormTrain(layer, x, outPlain, ROWS),
    results: [out, outPlain],
  };
}

function dropoutCase(features: number): Case {
  const { state } = new Generator(0);
  const random = new MersenneTwister(state.slice());
  const x = numbers(ROWS * features);
  const [out, mask] = [new Float32Array(x.length), new Uint8Array(x.length)];
  const [inPlace, maskPlain] = [x.slice(), new Uint8Array(x.length)];
  return {
    name: "dropout, with its mask",
    shape: `${ROWS}×${features}`,
    work: { amount: x.length, unit: "draws" },
    kernel: () => native.dropoutForward(x, 0.3, state, mask, out),
    plain: () => dropout(inPlace, 0.3, random, maskPlain),
    results: [out, inPlace],
  };
}

function softmaxCase(classes: number): Case {
  const x = numbers(ROWS * classes);
  const [out, outPlain] = [new Float32Array(x.length), new Float32Array(x.length)];
  return {
    name: "softmax",
    shape: `${ROWS}×${classes}`,
    work: bytes(x.length, out.length),
    kernel: () => native.softmaxForward(x, out, ROWS, classes, false),
    plain: () => softmax(x, outPlain, ROWS, classes),
    results: [out, outPlain],
  };
}
