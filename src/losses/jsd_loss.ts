import * as v from "valibot";
import { expectFraction, optionsOf } from "../checks.js";
import { clamp, logSoftmax, logsumexp, stack } from "../ops/index.js";
import { defineEntry, described, fraction, parseOptions } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { divergence, expectFiniteOutput, expectLogits, ofLogits } from "./logits.js";
import type { DistillationLoss } from "./loss.js";
import { type Annealed, expectTemperature, temperatureOption } from "./temperature.js";

/** The options of {@link jsdLoss}. */
export interface JsdLossOptions {
  /** From 0 to 1: 0 is the forward KL, 1 the reverse KL. Default 0.5. */
  beta?: number;
  /** T > 0: both networks' logits are divided by it. Default 1. */
  temperature?: number;
}

/** The lowest number of single precision. */
const LOWEST = -3.4028234663852886e38;
const DEFAULTS = { beta: 0.5, temperature: 1 } as const;
const OPTIONS = {
  beta: described(v.optional(fraction(), DEFAULTS.beta), "0 is the forward KL, 1 the reverse one"),
  temperature: temperatureOption(DEFAULTS.temperature),
};

/**
 * The generalised Jensen-Shannon divergence (Agarwal et al., GKD, ICLR 2024), a scalar, averaged over the rows. With p
 * the teacher's and q the student's softmax(logits / T): beta 0: KL(p ‖ q); beta 1: KL(q ‖ p); between: beta KL(p ‖ m)
 * + (1 - beta) KL(q ‖ m), m = beta p + (1 - beta) q. Logits are [rows, classes]; no gradient flows to the teacher.
 *
 * This is what TRL's GKDTrainer computes, including the jumps: between 0 and 1 the value goes to 0 towards both ends,
 * while at the ends it is a full divergence, so beta also scales the step. There is no T².
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH`, `BAD_ARGUMENT`; `NON_FINITE`: a reverse KL is infinite if the
 * teacher's probability is 0 (a logit of -Infinity).
 * @example
 * ```ts
 * const reverse = jsdLoss(student.forward(inputs), teacherLogits, { beta: 1 });
 * ```
 */
export function jsdLoss(studentLogits: Tensor, teacherLogits: Tensor, options: JsdLossOptions = {}): Tensor {
  const name = "jsdLoss";
  const teacher = expectLogits(name, studentLogits, teacherLogits);
  const { beta, temperature } = optionsOf(name, DEFAULTS, options);
  expectFraction("beta", beta);
  expectTemperature("temperature", temperature);
  const [p, q] = [logSoftmax(teacher.div(temperature)), logSoftmax(studentLogits.div(temperature))];
  const loss = between(p, q, beta).div(studentLogits.shape[0]);
  return expectFiniteOutput(name, loss, { studentLogits, teacherLogits });
}

/** Of log-probabilities. */
function between(p: Tensor, q: Tensor, beta: number): Tensor {
  if (beta === 0) return divergence(p, q);
  if (beta === 1) return divergence(q, p);
  // Not lower: otherwise the gradient of a class that both rule out would be NaN.
  const [ofP, ofQ] = [p.add(Math.log(beta)), q.add(Math.log1p(-beta))].map((x) => clamp(x, LOWEST));
  const m = logsumexp(stack([ofP, ofQ], 0), 0);
  return divergence(p, m)
    .mul(beta)
    .add(divergence(q, m).mul(1 - beta));
}

/** The options of {@link jsdDistillationLoss}. */
export interface JsdDistillationLossOptions extends Omit<JsdLossOptions, "temperature"> {
  temperature?: Annealed;
}

/**
 * {@link jsdLoss} as a loss of `distill`: `jsd` in expressions.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for options that are unknown or out of range.
 * @example
 * ```ts
 * await distill({ teacher, student, data, loss: jsdDistillationLoss({ beta: 0.9 }) });
 * ```
 */
export function jsdDistillationLoss(options: JsdDistillationLossOptions = {}): DistillationLoss {
  const all = parseOptions("jsdDistillationLoss", OPTIONS, options);
  return ofLogits("jsd", ["classification"], all, jsdLoss);
}

/** `jsd` in expressions. */
export const jsdEntry = defineEntry({
  name: "jsd",
  help: "generalised Jensen-Shannon divergence: forward and reverse KL and between (Agarwal et al., 2024)",
  tasks: ["classification"],
  options: OPTIONS,
  create: jsdDistillationLoss,
});
