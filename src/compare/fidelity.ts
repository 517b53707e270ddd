import type { Dataset } from "../data/index.js";
import type { Module } from "../nn/module.js";
import { highest, softmax } from "../tasks/softmax.js";
import type { Tensor } from "../tensor/tensor.js";
import { logitsOf } from "../train/index.js";
import { withWeights } from "./calibration.js";
import { type SampleStats, sampleStats } from "./statistics.js";

/** How well students do what their teacher does, right or wrong, over the seeds (Stanton et al., 2021). */
export interface Fidelity {
  /** The share of samples that both classify alike. */
  agreement: SampleStats;
  /** The mean divergence KL(teacher || student) of their probabilities, at temperature 1. */
  divergence: SampleStats;
}

/** {@link Fidelity} of two classifiers on the same samples: logits [samples, classes] in double precision. */
export function fidelityOf(student: Tensor, teacher: Tensor): { agreement: number; divergence: number } {
  const [samples, classes] = student.shape;
  let [alike, divergence] = [0, 0];
  for (let i = 0; i < samples; i++) {
    const [own, its] = [student, teacher].map(({ data }) => Array.from(data.subarray(i * classes, (i + 1) * classes)));
    if (highest(own) === highest(its)) alike += 1;
    const probabilities = softmax(its);
    const [ofStudent, ofTeacher] = [logSum(own), logSum(its)];
    for (const [k, p] of probabilities.entries()) divergence += p * (its[k] - ofTeacher - (own[k] - ofStudent));
  }
  return { agreement: alike / samples, divergence: divergence / samples };
}

/** log sum exp. */
function logSum(values: readonly number[]): number {
  const largest = Math.max(...values);
  return largest + Math.log(values.reduce((sum, x) => sum + Math.exp(x - largest), 0));
}

/** Logits of more numbers are not held in memory. */
const MAX_LOGITS = 2 ** 26;

/** A teacher's logits for data that its students' are compared with; null if they are too many. */
export function comparableLogits(teacher: Module, data: Dataset): Tensor | null {
  if (data.length * data.classes > MAX_LOGITS) return null;
  return logitsOf(teacher, data);
}

/** The fidelity of the weights of files, which the student takes one after the other. */
export async function fidelityOfFiles(
  files: readonly string[],
  student: Module,
  { data, teacherLogits, signal }: { data: Dataset; teacherLogits: Tensor | null; signal: AbortSignal },
): Promise<Fidelity | null> {
  if (teacherLogits === null) return null;
  const all: ReturnType<typeof fidelityOf>[] = [];
  for await (const network of withWeights(files, student, signal)) {
    all.push(fidelityOf(logitsOf(network, data), teacherLogits));
  }
  return spreadOf(all);
}

/** How the fidelity of several students spreads. */
export function spreadOf(all: readonly ReturnType<typeof fidelityOf>[]): Fidelity {
  return {
    agreement: sampleStats(all.map(({ agreement }) => agreement)),
    divergence: sampleStats(all.map(({ divergence }) => divergence)),
  };
}
