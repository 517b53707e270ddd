import { Generator } from "distillery";
import { PlainAdamW } from "../baseline/adamw.js";
import { gradNorm } from "../baseline/grad_norm.js";
import { kdLoss } from "../baseline/kd_loss.js";
import { MersenneTwister } from "../baseline/rng.js";
import { native } from "../native.js";
import { bytes, type Case, numbers } from "./case.js";

/** The lengths of the student's parameters, in order. */
const STUDENT = [784 * 512, 512, 512 * 256, 256, 256 * 10, 10];
const COUNT = STUDENT.reduce((sum, length) => sum + length, 0);

/** What a step does beside its layers: the loss, the optimizer, the clipping, the random stream. */
export function trainingCases(): Case[] {
  return [kdLossCase(64, 10), adamwCase(), gradNormCase(), uniformCase(64 * 2048)];
}

function kdLossCase(rows: number, classes: number): Case {
  const [student, teacher] = [numbers(rows * classes), numbers(rows * classes).reverse()];
  const labels = Int32Array.from({ length: rows }, (_, i) => i % classes);
  const [grad, gradPlain] = [new Float32Array(student.length), new Float32Array(student.length)];
  const options = { temperature: 3.5, alpha: 0.6 };
  return {
    name: "distillation loss, with its gradient",
    shape: `${rows}×${classes}`,
    work: bytes(student.length, teacher.length, rows, grad.length),
    kernel: () => native.kdLoss(student, teacher, labels, grad, rows, classes, options.temperature, options.alpha),
    plain: () => kdLoss(student, teacher, labels, gradPlain, options),
    results: [grad, gradPlain],
  };
}

function adamwCase(): Case {
  const arrays = () => STUDENT.map(numbers);
  const zeros = () => STUDENT.map((length) => new Float32Array(length));
  const [parameters, parametersPlain, grads, firsts, seconds] = [arrays(), arrays(), arrays(), zeros(), zeros()];
  const options = { lr: 6e-4, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 1e-5 };
  const { lr, beta1, beta2, eps, weightDecay } = options;
  const plain = new PlainAdamW(parametersPlain);
  let step = 0;
  return {
    name: "AdamW, the student's parameters",
    shape: String(COUNT),
    work: bytes(...[4, 3].map((times) => times * COUNT)),
    kernel: () => native.adamwStep(parameters, grads, firsts, seconds, lr, beta1, beta2, eps, weightDecay, ++step),
    plain: () => plain.step(grads, options),
    results: [parameters[0], parametersPlain[0]],
  };
}

function gradNormCase(): Case {
  const grads = STUDENT.map(numbers);
  const [norm, normPlain] = [new Float32Array(1), new Float32Array(1)];
  return {
    name: "gradient norm",
    shape: String(COUNT),
    work: bytes(COUNT),
    kernel: () => {
      norm[0] = native.gradNorm(grads);
    },
    plain: () => {
      normPlain[0] = gradNorm(grads);
    },
    results: [norm, normPlain],
  };
}

function uniformCase(count: number): Case {
  const { state } = new Generator(0);
  const random = new MersenneTwister(state.slice());
  const [out, outPlain] = [new Float32Array(count), new Float32Array(count)];
  return {
    name: "random stream, uniforms",
    shape: String(count),
    work: { amount: count, unit: "draws" },
    kernel: () => native.randomUniform(state, out, -1, 1),
    plain: () => random.uniform(outPlain, -1, 1),
    results: [out, outPlain],
  };
}
