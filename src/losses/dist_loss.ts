import * as v from "valibot";
import { expectAtLeast0, expectSomeWeight, optionsOf } from "../checks.js";
import { norm, softmax } from "../ops/index.js";
import { defineEntry, described, nonNegative, parseOptions } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { expectFiniteOutput, expectLogits, ofLogits } from "./logits.js";
import type { DistillationLoss } from "./loss.js";
import { type Annealed, expectTemperature, temperatureOption } from "./temperature.js";

/** The options of {@link distLoss}. */
export interface DistLossOptions {
  /** The weight of the correlation over a row's classes. Default 1. */
  beta?: number;
  /** The weight of the correlation over the batch, for each class. Default 1. */
  gamma?: number;
  /** T > 0: both networks' logits are divided by it. Default 4. */
  temperature?: number;
}

const DEFAULTS = { beta: 1, gamma: 1, temperature: 4 } as const;
const OPTIONS = {
  beta: described(v.optional(nonNegative(), DEFAULTS.beta), "weight of the correlation over a row's classes"),
  gamma: described(v.optional(nonNegative(), DEFAULTS.gamma), "weight of the correlation over the batch"),
  temperature: temperatureOption(DEFAULTS.temperature),
};
const EPSILON = 1e-8;

/**
 * DIST (Huang et al., NeurIPS 2022), a scalar: T² (beta (1 - mean over rows of rho) + gamma (1 - mean over classes of
 * rho)). rho is Pearson's correlation between the probabilities softmax(logits / T) of student and teacher, for a row
 * over the classes, or for a class over the batch: sum (a - mean a)(b - mean b) / (|a - mean a| |b - mean b| + 1e-8).
 * Logits are [rows, classes]; no gradient flows to the teacher. A class with equal values in all rows, as in a batch of
 * one row, has rho 0.
 *
 * The authors' code (`dist_kd.py`) has T² only since its second revision, and uses T 4 on CIFAR, 1 on ImageNet, with
 * weight 2 beside the cross-entropy: `cross-entropy + 2*dist`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH`, `BAD_ARGUMENT`, `NON_FINITE`.
 * @example
 * ```ts
 * const loss = distLoss(student.forward(inputs), teacherLogits, { beta: 1, gamma: 1, temperature: 4 });
 * ```
 */
export function distLoss(studentLogits: Tensor, teacherLogits: Tensor, options: DistLossOptions = {}): Tensor {
  const name = "distLoss";
  const teacher = expectLogits(name, studentLogits, teacherLogits);
  const { beta, gamma, temperature } = optionsOf(name, DEFAULTS, options);
  expectAtLeast0("beta", beta);
  expectAtLeast0("gamma", gamma);
  expectTemperature("temperature", temperature);
  const [p, q] = [softmax(teacher.div(temperature)), softmax(studentLogits.div(temperature))];
  const scale = temperature ** 2;
  const loss = correlationDistance(q, p, 1)
    .mul(beta * scale)
    .add(correlationDistance(q, p, 0).mul(gamma * scale));
  return expectFiniteOutput(name, loss, { studentLogits, teacherLogits });
}

/** 1 - the mean of Pearson's correlations of a and b along an axis. */
function correlationDistance(a: Tensor, b: Tensor, dim: number): Tensor {
  const [u, w] = [a.sub(a.mean(dim, true)), b.sub(b.mean(dim, true))];
  const norms = norm(u, 2, dim)
    .mul(norm(w, 2, dim))
    .add(EPSILON);
  return u.mul(w).sum(dim).div(norms).mean().neg().add(1);
}

/** The options of {@link distDistillationLoss}. */
export interface DistDistillationLossOptions extends Omit<DistLossOptions, "temperature"> {
  temperature?: Annealed;
}

/**
 * {@link distLoss} as a loss of `distill`: `dist` in expressions.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for options that are unknown or out of range.
 * @example
 * ```ts
 * const loss = weightedSum([[1, crossEntropyDistillationLoss()], [2, distDistillationLoss()]]);
 * await distill({ teacher, student, data, loss });
 * ```
 */
export function distDistillationLoss(options: DistDistillationLossOptions = {}): DistillationLoss {
  const all = parseOptions("distDistillationLoss", OPTIONS, options);
  expectSomeWeight({ beta: all.beta, gamma: all.gamma });
  return ofLogits("dist", ["classification"], all, distLoss);
}

/** `dist` in expressions. */
export const distEntry = defineEntry({
  name: "dist",
  help: "correlation of the probabilities, over classes and over the batch (Huang et al., 2022)",
  tasks: ["classification"],
  options: OPTIONS,
  create: distDistillationLoss,
});
