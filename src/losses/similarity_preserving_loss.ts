import { expectOptions } from "../checks.js";
import { linear, mseLoss } from "../ops/index.js";
import { defineEntry } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { expectFeatures, flatRows, LAYER_OPTIONS, type Layers, layersOf, ofLayers, unit } from "./features.js";
import { expectFiniteOutput } from "./logits.js";
import type { DistillationLoss, LossContext } from "./loss.js";

/**
 * Similarity-preserving distillation (Tung and Mori, ICCV 2019), a scalar: the sum of (G(student) - G(teacher))² over
 * rows², divided by rows², where G = F F' with its rows divided by their Euclidean norm, and F are the flattened
 * features: [rows, features] or [rows, channels, height, width]; student and teacher may have different widths. No
 * gradient flows to the teacher.
 *
 * RepDistiller (SP.py) has the same formula and uses weight 3000 beside the cross-entropy, on the last feature map. A
 * row of zeros is similar to no row, and has no gradient.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH`, `NON_FINITE`.
 * @example
 * ```ts
 * const loss = similarityPreservingLoss(studentHidden, teacherHidden).mul(3000);
 * ```
 */
export function similarityPreservingLoss(
  studentFeatures: Tensor,
  teacherFeatures: Tensor,
  options: Readonly<Record<string, never>> = {},
): Tensor {
  const name = "similarityPreservingLoss";
  expectOptions(name, options, []);
  const { student, teacher } = expectFeatures(name, studentFeatures, teacherFeatures);
  const loss = mseLoss(similarities(student), similarities(teacher));
  return expectFiniteOutput(name, loss, { studentFeatures, teacherFeatures });
}

/** [rows, rows] */
function similarities(features: Tensor): Tensor {
  const rows = flatRows(features);
  return unit(linear(rows, rows, null));
}

/**
 * {@link similarityPreservingLoss} as a loss of `distill`: `similarity-preserving` in expressions.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a layer that is no path, and for unknown options; in a run for a layer
 * that a network lacks.
 * @example
 * ```ts
 * const loss = similarityPreservingDistillationLoss({ student: "fc2", teacher: "fc3" });
 * await distill({ teacher, student, data, loss: weightedSum([[1, crossEntropyDistillationLoss()], [3000, loss]]) });
 * ```
 */
export function similarityPreservingDistillationLoss(layers: Layers): DistillationLoss {
  return ofLayers("similarity-preserving", layers, (student, teacher) => similarityPreservingLoss(student, teacher));
}

/** `similarity-preserving` in expressions. */
export const similarityPreservingEntry = defineEntry({
  name: "similarity-preserving",
  help: "similarities between the samples of a batch (Tung and Mori, 2019)",
  options: LAYER_OPTIONS,
  create: (paths, context: LossContext) =>
    similarityPreservingDistillationLoss(layersOf("similarity-preserving", paths, context)),
});
