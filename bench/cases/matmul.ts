import * as plain from "../baseline/matmul.js";
import { native } from "../library.js";
import { type Case, numbers, product } from "./case.js";

/** The matrix products of the script's step and of the teacher's training, at batch 64. */
export function matmulCases(): Case[] {
  return [
    forward("teacher fc1 forward", 784, 2048),
    forward("teacher fc2 forward", 2048, 1024),
    forward("teacher fc3 forward", 1024, 512),
    weightGradient("teacher fc2 weight gradient", 2048, 1024),
    inputGradient("teacher fc2 input gradient", 2048, 1024),
    forward("student fc1 forward", 784, 512),
    forward("student fc2 forward", 512, 256),
    forward("student fc3 forward", 256, 10),
    weightGradient("student fc1 weight gradient", 784, 512),
    weightGradient("student fc2 weight gradient", 512, 256),
    inputGradient("student fc2 input gradient", 512, 256),
  ];
}

const ROWS = 64;

function forward(name: string, inputs: number, outputs: number): Case {
  const [x, weight] = [numbers(ROWS * inputs), numbers(outputs * inputs)];
  const [out, outPlain] = [new Float32Array(ROWS * outputs), new Float32Array(ROWS * outputs)];
  return {
    name: `A*Bᵀ  ${name}`,
    shape: `${ROWS}×${inputs}×${outputs}`,
    work: product(ROWS, inputs, outputs),
    kernel: () => native.batchedMatmul(x, weight, out, 1, ROWS, inputs, outputs, false, true, false),
    plain: () => plain.matmulNt(x, weight, outPlain, ROWS, inputs, outputs),
    results: [out, outPlain],
  };
}

function weightGradient(name: string, inputs: number, outputs: number): Case {
  const [grad, x] = [numbers(ROWS * outputs), numbers(ROWS * inputs)];
  const [out, outPlain] = [new Float32Array(outputs * inputs), new Float32Array(outputs * inputs)];
  const [scratchGrad, scratchX] = [new Float32Array(grad.length), new Float32Array(x.length)];
  return {
    name: `Aᵀ*B  ${name}`,
    shape: `${outputs}×${ROWS}×${inputs}`,
    work: product(outputs, ROWS, inputs),
    kernel: () => native.batchedMatmul(grad, x, out, 1, outputs, ROWS, inputs, true, false, false),
    plain: () => plain.matmulTn(grad, x, outPlain, outputs, ROWS, inputs, scratchGrad, scratchX),
    results: [out, outPlain],
  };
}

function inputGradient(name: string, inputs: number, outputs: number): Case {
  const [grad, weight] = [numbers(ROWS * outputs), numbers(outputs * inputs)];
  const [out, outPlain] = [new Float32Array(ROWS * inputs), new Float32Array(ROWS * inputs)];
  const scratch = new Float32Array(weight.length);
  return {
    name: `A*B   ${name}`,
    shape: `${ROWS}×${outputs}×${inputs}`,
    work: product(ROWS, outputs, inputs),
    kernel: () => native.batchedMatmul(grad, weight, out, 1, ROWS, outputs, inputs, false, false, false),
    plain: () => plain.matmul(grad, weight, outPlain, ROWS, outputs, inputs, scratch),
    results: [out, outPlain],
  };
}
