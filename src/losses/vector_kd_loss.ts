import * as v from "valibot";
import { expectAtLeast0, expectSomeWeight, optionsOf } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { expectModule } from "../nn/expect_module.js";
import { Linear } from "../nn/linear.js";
import type { Module } from "../nn/module.js";
import { mseLoss } from "../ops/index.js";
import { boolean, defineEntry, described, nonNegative } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { cosineDistance, expectFeatures } from "./features.js";
import { expectFiniteOutput } from "./logits.js";
import type { DistillationLoss, LossContext } from "./loss.js";

/** The options of {@link vectorKdLoss}. */
export interface VectorKdLossOptions {
  /** The weight of 1 - cosine. Default 1. */
  cosine?: number;
  /** The weight of the mean squared error. Default 1. */
  mse?: number;
  /**
   * Maps the student's dimensions to the teacher's, such as `new Linear(64, 384)`; default: none, for equal dimensions.
   */
  projection?: Module | undefined;
}

const DEFAULTS = { cosine: 1, mse: 1 } as const;

/**
 * Distillation of vectors, such as embeddings [rows, dimensions], a scalar: `cosine` times the mean over rows of 1 -
 * cos(p(student), teacher), plus `mse` times the mean square of p(student) - teacher over all elements. Sentence
 * Transformers distil embeddings by the mean squared error (Reimers and Gurevych, 2020). No gradient flows to the
 * teacher.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH`, `BAD_ARGUMENT`, `NON_FINITE`.
 * @example
 * ```ts
 * const loss = vectorKdLoss(studentHidden, teacherVectors, { projection: new Linear(128, 384) });
 * ```
 */
export function vectorKdLoss(
  studentVectors: Tensor,
  teacherVectors: Tensor,
  options: VectorKdLossOptions = {},
): Tensor {
  const name = "vectorKdLoss";
  const { projection, cosine, mse } = optionsOf(name, DEFAULTS, options, ["projection"]);
  for (const [option, weight] of Object.entries({ cosine, mse })) {
    expectAtLeast0(option, weight);
  }
  if (projection !== undefined) expectModule(`${name}: projection`, projection);
  const { student, teacher } = expectFeatures(name, studentVectors, teacherVectors, "Vectors");
  const mapped = projection?.forward(student) ?? student;
  const [own, wanted] = [mapped.shape[1], teacher.shape[1]];
  if (own !== wanted) {
    const text = `expected the teacher's ${wanted} dimensions, got ${own}: pass a projection of ${wanted} outputs`;
    throw new DistilleryError("SHAPE_MISMATCH", `${name}: studentVectors: ${text}`);
  }
  const loss = cosineDistance(mapped, teacher).mul(cosine).add(mseLoss(mapped, teacher).mul(mse));
  return expectFiniteOutput(name, loss, { studentVectors, teacherVectors });
}

/**
 * {@link vectorKdLoss} of the outputs as a loss of `distill`: `vector-kd` in expressions. A projection is trained with
 * the student and is no part of it afterwards.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for options that are unknown or out of range.
 * @example
 * ```ts
 * await distill({ teacher, student, data, loss: vectorKdDistillationLoss({ cosine: 1, mse: 0 }) });
 * ```
 */
export function vectorKdDistillationLoss(options: VectorKdLossOptions = {}): DistillationLoss {
  const { projection, ...weights } = optionsOf("vectorKdDistillationLoss", DEFAULTS, options, ["projection"]);
  for (const [option, weight] of Object.entries(weights)) expectAtLeast0(option, weight);
  expectSomeWeight(weights);
  if (projection !== undefined) expectModule("projection", projection);
  const name = "vector-kd";
  return {
    name,
    needsTeacher: true,
    tasks: ["classification", "multi-label", "vectors"],
    modules: projection === undefined ? {} : { projection },
    compute: ({ student, teacher }) => ({ loss: vectorKdLoss(student.logits, teacher.logits, options), metrics: {} }),
    config: () => ({ name, ...weights, projection: projection !== undefined }),
  };
}

/** `vector-kd` in expressions. */
export const vectorKdEntry = defineEntry({
  name: "vector-kd",
  help: "1 - cosine and squared error of output vectors with the teacher's (Reimers and Gurevych, 2020)",
  tasks: ["classification", "multi-label", "vectors"],
  options: {
    cosine: described(v.optional(nonNegative(), DEFAULTS.cosine), "weight of 1 - cosine"),
    mse: described(v.optional(nonNegative(), DEFAULTS.mse), "weight of the mean squared error"),
    projection: described(
      v.optional(boolean(), false),
      "whether a Linear makes the student's dimensions the teacher's: trained with it, and dropped at the end",
    ),
  },
  create({ projection, ...weights }, context: LossContext): DistillationLoss {
    if (!projection && context?.task !== "vectors") return vectorKdDistillationLoss(weights);
    const own = context.tapShape("student", "")[0];
    if (!projection) {
      if (own === context.classes) return vectorKdDistillationLoss(weights);
      const text = `vector-kd compares with the teacher's ${context.classes} dimensions, and the student has ${own}`;
      const advice = "projection=true trains a Linear between them";
      throw new DistilleryError("SHAPE_MISMATCH", `loss: ${text}: ${advice}`);
    }
    return vectorKdDistillationLoss({ ...weights, projection: new Linear(own, context.classes) });
  },
});
