import * as v from "valibot";
import { argumentError, badDtype, expectOneOf, expectShape, optionsOf, outOfRange } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { cat, clamp, exp, gather, log, logSoftmax, logsumexp, scatter, topk } from "../ops/index.js";
import { defineEntry, described, integer, oneOf, parseOptions } from "../registry/index.js";
import { IntTensor } from "../tensor/int_tensor.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { divergence, expectFiniteOutput } from "./logits.js";
import type { DistillationLoss } from "./loss.js";

const TAILS = ["bucket", "spread"] as const;

/** The options of {@link topKKdLoss}. */
export interface TopKKdLossOptions {
  /**
   * How the probability outside of the k classes is compared: "bucket" with the student's total over all other classes;
   * "spread" with the student's for each other class, with the rest spread evenly over them. Default "bucket".
   */
  tail?: (typeof TAILS)[number];
}

const DEFAULTS = { tail: "bucket" } as const;
/** How much the sum of probabilities may exceed 1: half precision's rounding. */
const SLACK = 2e-3;

/**
 * KL(teacher ‖ student), a scalar averaged over the rows, where only the k most probable classes of the teacher are
 * known: their `ids` [rows, k] and `logProbabilities` [rows, k] under the softmax over all classes. The student's
 * probabilities are softmax(logits) over all classes, logits [rows, classes]. The rest of the teacher's probability is
 * its tail.
 *
 * "bucket" is TRL's server distillation; "spread" is FKD's marginal smoothing (Shen and Xing, 2022). DistillKit's
 * `zero` renormalises the k probabilities and drops the tail, which teaches that it is 0; this is not supported. There
 * is no temperature: applied after the cut it would be approximate.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH`, `LABEL_OUT_OF_RANGE`, `NON_FINITE`; `BAD_ARGUMENT`, for
 * example if a row names a class twice, or its probabilities sum to more than 1.
 * @example
 * ```ts
 * const { values, indices } = teacherLogits.logSoftmax().topk(5);
 * const loss = topKKdLoss(student.forward(inputs), indices, values, { tail: "bucket" });
 * ```
 */
export function topKKdLoss(
  studentLogits: Tensor,
  ids: IntTensor,
  logProbabilities: Tensor,
  options: TopKKdLossOptions = {},
): Tensor {
  const name = "topKKdLoss";
  expectTensor(`${name}: studentLogits`, studentLogits);
  expectShape(`${name}: studentLogits`, studentLogits.shape, [-1, -1]);
  const [rows, classes] = studentLogits.shape;
  expectIds(ids, rows, classes);
  expectTensor(`${name}: logProbabilities`, logProbabilities);
  expectShape(`${name}: logProbabilities`, logProbabilities.shape, ids.shape);
  const { tail } = optionsOf(name, DEFAULTS, options);
  expectOneOf("tail", tail, TAILS);
  const logP = logProbabilities.detach();
  const loss = divergenceOf(studentLogits, { ids, logP, logRest: log(restOf(logP)) }, tail);
  return expectFiniteOutput(name, loss, { studentLogits, logProbabilities });
}

/**
 * What is known of a teacher: the ids of k classes, their log-probabilities [rows, k], and that of all others [rows,
 * 1].
 */
interface Known {
  readonly ids: IntTensor;
  readonly logP: Tensor;
  readonly logRest: Tensor;
}

/** The mean over the rows of KL(teacher ‖ student). */
function divergenceOf(studentLogits: Tensor, { ids, logP, logRest }: Known, tail: (typeof TAILS)[number]): Tensor {
  const [rows, classes] = studentLogits.shape;
  const [logQ, others] = [logSoftmax(studentLogits), classes - ids.shape[1]];
  const sum =
    tail === "spread"
      ? divergence(scatter(logRest.sub(Math.log(Math.max(1, others))).expand([rows, classes]), 1, ids, logP), logQ)
      : divergence(withTail(logP, logRest, others), withTail(gather(logQ, 1, ids), logTailOf(logQ, ids), others));
  return sum.div(rows);
}

/** Log-probabilities of the k [rows, k] with that of all others behind them, if there are others. */
function withTail(logK: Tensor, logTail: Tensor, others: number): Tensor {
  return others === 0 ? logK : cat([logK, logTail], 1);
}

/** The logarithm of the probability of the classes that are not among the k [rows, 1]. */
function logTailOf(logQ: Tensor, ids: IntTensor): Tensor {
  return logsumexp(scatter(logQ, 1, ids, Number.NEGATIVE_INFINITY), 1, true);
}

/** The probability that the k leave [rows, 1]. */
function restOf(logP: Tensor): Tensor {
  const sums = exp(logP).sum(1, true);
  const wrong = sums.data.findIndex((sum) => sum > 1 + SLACK);
  if (wrong < 0) return clamp(sums.neg().add(1), 0);
  const text = `expected log-probabilities, whose probabilities add up to at most 1, got ${sums.data[wrong]} in row ${wrong}`;
  throw argumentError("topKKdLoss", `logProbabilities: ${text}`);
}

function expectIds(ids: IntTensor, rows: number, classes: number): void {
  const place = "topKKdLoss: ids";
  if (!(ids instanceof IntTensor)) throw badDtype(place, "an IntTensor", ids);
  expectShape(place, ids.shape, [rows, -1]);
  const k = ids.shape[1];
  if (rows === 0 || k === 0) {
    throw new DistilleryError(
      "SHAPE_MISMATCH",
      `${place}: expected at least one row and one class, got [${rows}, ${k}]`,
    );
  }
  for (const [at, id] of ids.data.entries()) {
    const [row, column] = [Math.floor(at / k), at % k];
    if (id < 0 || id >= classes) throw outOfRange(`${place}[${row}, ${column}]`, classes, id);
    if (ids.data.indexOf(id, row * k) === at) continue;
    throw argumentError(place, `expected each class once in a row, got ${id} twice in row ${row}`);
  }
}

/** The options of {@link topKKdDistillationLoss}. */
export interface TopKKdDistillationLossOptions extends TopKKdLossOptions {
  /** The number of the teacher's classes that are kept, at most all. Default 5. */
  k?: number;
}

const OPTIONS = {
  k: described(v.optional(integer(1), 5), "number of the teacher's classes that are kept"),
  tail: described(v.optional(oneOf(TAILS), DEFAULTS.tail), "the others: one bucket, or spread evenly"),
};

/**
 * {@link topKKdLoss} with the teacher's k most probable classes as a loss of `distill`: `top-k-kd` in expressions.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for options that are unknown or out of range.
 * @example
 * ```ts
 * await distill({ teacher, student, data, loss: topKKdDistillationLoss({ k: 5 }) });
 * ```
 */
export function topKKdDistillationLoss(options: TopKKdDistillationLossOptions = {}): DistillationLoss {
  const { k, tail } = parseOptions("topKKdDistillationLoss", OPTIONS, options);
  const name = "top-k-kd";
  return {
    name,
    needsTeacher: true,
    tasks: ["classification"],
    compute({ student, teacher }) {
      const most = Math.min(k, teacher.logits.shape[1]);
      const all = logSoftmax(teacher.logits.detach());
      const { values, indices } = topk(all, most);
      // Not computed as 1 minus the sum of the others, which would lose nearly all digits.
      const known = { ids: indices, logP: values, logRest: logTailOf(all, indices) };
      const loss = divergenceOf(student.logits, known, tail);
      return {
        loss: expectFiniteOutput(name, loss, { studentLogits: student.logits, teacherLogits: teacher.logits }),
        metrics: {},
      };
    },
    config: () => ({ name, k, tail }),
  };
}

/** `top-k-kd` in expressions. */
export const topKKdEntry = defineEntry({
  name: "top-k-kd",
  help: "divergence from the teacher's k most probable classes and the rest",
  tasks: ["classification"],
  options: OPTIONS,
  create: topKKdDistillationLoss,
});
