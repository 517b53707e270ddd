import { crossEntropy, kdLoss } from "../baseline/losses.js";
import { gradNorm, PlainAdamW } from "../baseline/optimizer.js";
import { native } from "../library.js";
import { STUDENT_SIZES, TEACHER_SIZES } from "../steps/setup.js";
import { type Case, elementwise, numbers } from "./case.js";

/** What a step does beside its layers: the losses, the optimizer, the clipping. */
export function trainingCases(): Case[] {
  return [
    kdLossCase(64, 10),
    crossEntropyCase(64, 10),
    adamwCase("student", STUDENT_SIZES),
    adamwCase("teacher", TEACHER_SIZES),
    gradNormCase("student", STUDENT_SIZES),
    gradNormCase("teacher", TEACHER_SIZES),
  ];
}

function kdLossCase(rows: number, classes: number): Case {
  const [student, teacher] = [numbers(rows * classes), numbers(rows * classes).reverse()];
  const labels = Int32Array.from({ length: rows }, (_, i) => i % classes);
  const [grad, gradPlain] = [new Float32Array(student.length), new Float32Array(student.length)];
  const options = { temperature: 3.5, alpha: 0.6, labelSmoothing: 0 };
  return {
    name: "distillation loss, with its gradient",
    shape: `${rows}×${classes}`,
    work: elementwise(student.length, 25, student.length, teacher.length, rows, grad.length),
    kernel: () =>
      native.kdLoss(
        student,
        teacher,
        labels,
        grad,
        rows,
        classes,
        options.temperature,
        options.alpha,
        options.labelSmoothing,
      ),
    plain: () => kdLoss(student, teacher, labels, gradPlain, options),
    results: [grad, gradPlain],
  };
}

function crossEntropyCase(rows: number, classes: number): Case {
  const logits = numbers(rows * classes);
  const labels = Int32Array.from({ length: rows }, (_, i) => i % classes);
  const [grad, gradPlain] = [new Float32Array(logits.length), new Float32Array(logits.length)];
  return {
    name: "cross-entropy, with its gradient",
    shape: `${rows}×${classes}`,
    work: elementwise(logits.length, 7, logits.length, rows, grad.length),
    kernel: () => native.crossEntropy(logits, labels, grad, rows, classes, 0),
    plain: () => crossEntropy(logits, labels, gradPlain),
    results: [grad, gradPlain],
  };
}

function adamwCase(network: string, sizes: readonly number[]): Case {
  const count = total(sizes);
  const arrays = () => sizes.map(numbers);
  const zeros = () => sizes.map((length) => new Float32Array(length));
  const [parameters, parametersPlain, grads, firsts, seconds] = [arrays(), arrays(), arrays(), zeros(), zeros()];
  const options = { lr: 6e-4, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 1e-5 };
  const call = {
    params: parameters,
    grads,
    expAvgs: firsts,
    expAvgSqs: seconds,
    maxExpAvgSqs: null,
    ...options,
    decoupledWeightDecay: true,
    gradScale: 1,
  };
  const plain = new PlainAdamW(parametersPlain);
  let step = 0;
  return {
    name: `AdamW, the ${network}'s parameters`,
    shape: String(count),
    work: elementwise(count, 14, 4 * count, 3 * count),
    kernel: () => native.adamStep({ ...call, step: ++step }),
    plain: () => plain.step(grads, options),
    results: [parameters[0], parametersPlain[0]],
  };
}

function gradNormCase(network: string, sizes: readonly number[]): Case {
  const grads = sizes.map(numbers);
  const [norm, normPlain] = [new Float32Array(1), new Float32Array(1)];
  return {
    name: `gradient norm, the ${network}'s`,
    shape: String(total(sizes)),
    work: elementwise(total(sizes), 2, total(sizes)),
    kernel: () => {
      norm[0] = native.gradNorm(grads);
    },
    plain: () => {
      normPlain[0] = gradNorm(grads);
    },
    results: [norm, normPlain],
  };
}

function total(lengths: readonly number[]): number {
  return lengths.reduce((sum, length) => sum + length, 0);
}
