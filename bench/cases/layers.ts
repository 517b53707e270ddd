import { batchNormLayer, batchNormTrain, EPS } from "../baseline/batch_norm.js";
import { batchNormBackward, batchNormGradients } from "../baseline/batch_norm_backward.js";
import { linearBackward, linearForward, linearGradients, linearLayer } from "../baseline/linear.js";
import { softmax } from "../baseline/softmax.js";
import { native } from "../native.js";
import { type Case, numbers } from "./case.js";
import { both, elementwise, product } from "./work.js";

const ROWS = 64;

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
  return {
    name: "linear, gradients",
    shape: `${ROWS}×${inputs} → ${outputs}`,
    work: both(product(outputs, ROWS, inputs), product(ROWS, outputs, inputs)),
    kernel: () => native.linearBackward(grad, x, weight, gradX, gradWeight, gradBias, ROWS, inputs, outputs),
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
    work: elementwise(x.length, 7, x.length, out.length),
    kernel: () => {
      native.batchNormTrain(x, weight, bias, runningMean, runningVar, mean, invStd, normal, ROWS, features, EPS, 0.1);
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
      native.batchNormBackward(grad, x, mean, invStd, weight, gradX, gradWeight, gradBias, ROWS, features, true),
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
