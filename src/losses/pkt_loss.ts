import { expectOptions } from "../checks.js";
import { linear, log, norm } from "../ops/index.js";
import { defineEntry } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { expectFeatures, flatRows, LAYER_OPTIONS, type Layers, layersOf, ofLayers } from "./features.js";
import { expectFiniteOutput } from "./logits.js";
import type { DistillationLoss, LossContext } from "./loss.js";

/**
 * Probabilistic knowledge transfer (Passalis and Tefas, ECCV 2018), a scalar: the mean over rows² of p log((p + 1e-7) /
 * (q + 1e-7)). p of the teacher and q of the student are computed from the cosines c of all pairs of rows, as (c + 1) /
 * 2 divided by the sum of their row. Features are [rows, features] or [rows, channels, height, width], flattened;
 * student and teacher may have different widths. No gradient flows to the teacher.
 *
 * RepDistiller (PKT.py) has the same formula and uses weight 30000 beside the cross-entropy; it is that large because
 * the loss is a mean over rows², not over rows. A row of zeros has cosine 0 with all rows.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH`, `NON_FINITE`.
 * @example
 * ```ts
 * const loss = pktLoss(studentHidden, teacherHidden).mul(30000);
 * ```
 */
export function pktLoss(
  studentFeatures: Tensor,
  teacherFeatures: Tensor,
  options: Readonly<Record<string, never>> = {},
): Tensor {
  const name = "pktLoss";
  expectOptions(name, options, []);
  const { student, teacher } = expectFeatures(name, studentFeatures, teacherFeatures);
  const [q, p] = [neighbours(student), neighbours(teacher)];
  const loss = p.mul(log(p.add(EPSILON)).sub(log(q.add(EPSILON)))).mean();
  return expectFiniteOutput(name, loss, { studentFeatures, teacherFeatures });
}

const EPSILON = 1e-7;

/** The probability of each row's neighbours [rows, rows]. */
function neighbours(features: Tensor): Tensor {
  const rows = flatRows(features);
  const directions = rows.div(norm(rows, 2, 1, true).add(EPSILON));
  const similarities = linear(directions, directions, null).add(1).div(2);
  return similarities.div(similarities.sum(1, true));
}

/**
 * {@link pktLoss} as a loss of `distill`: `pkt` in expressions.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a layer that is no path, and for unknown options; in a run for a layer
 * that a network lacks.
 * @example
 * ```ts
 * const loss = pktDistillationLoss({ student: "fc2", teacher: "fc3" });
 * await distill({ teacher, student, data, loss: weightedSum([[1, crossEntropyDistillationLoss()], [30000, loss]]) });
 * ```
 */
export function pktDistillationLoss(layers: Layers): DistillationLoss {
  return ofLayers("pkt", layers, (student, teacher) => pktLoss(student, teacher));
}

/** `pkt` in expressions. */
export const pktEntry = defineEntry({
  name: "pkt",
  help: "probabilities of similarity within a batch (Passalis and Tefas, 2018)",
  options: LAYER_OPTIONS,
  create: (paths, context: LossContext) => pktDistillationLoss(layersOf("pkt", paths, context)),
});
