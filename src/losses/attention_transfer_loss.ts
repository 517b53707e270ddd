import * as v from "valibot";
import { expectOptions, expectShape } from "../checks.js";
import { mseLoss } from "../ops/index.js";
import { defineEntry, described } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import {
  expectFeatures,
  expectLayers,
  flatRows,
  type Layers,
  layerPath,
  ofLayers,
  sameSize,
  unit,
} from "./features.js";
import { expectFiniteOutput } from "./logits.js";
import type { DistillationLoss, LossContext } from "./loss.js";

/**
 * Attention transfer (Zagoruyko and Komodakis, ICLR 2017), a scalar: the mean over rows and positions of (A(student) -
 * A(teacher))², where A is the mean over the channels of the squares, flattened to [rows, height * width] and divided
 * by its Euclidean norm. Features are [rows, channels, height, width]; the larger image is averaged to the smaller
 * one's size. No gradient flows to the teacher.
 *
 * This is the authors' code and RepDistiller's (AT.py, weight 1000, summed over the stages); the paper has norms and
 * sums instead of the mean of squares.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH` for features without positions, `NON_FINITE`.
 * @example
 * ```ts
 * const loss = attentionTransferLoss(studentMaps, teacherMaps).mul(1000);
 * ```
 */
export function attentionTransferLoss(
  studentFeatures: Tensor,
  teacherFeatures: Tensor,
  options: Readonly<Record<string, never>> = {},
): Tensor {
  const name = "attentionTransferLoss";
  expectOptions(name, options, []);
  const { student, teacher } = sameSize(name, expectFeatures(name, studentFeatures, teacherFeatures));
  expectShape(`${name}: studentFeatures`, student.shape, [-1, -1, -1, -1]);
  const loss = mseLoss(attention(student), attention(teacher));
  return expectFiniteOutput(name, loss, { studentFeatures, teacherFeatures });
}

/** [rows, height * width], each row of length 1. */
function attention(maps: Tensor): Tensor {
  return unit(flatRows(maps.mul(maps).mean(1, true)));
}

/**
 * {@link attentionTransferLoss} as a loss of `distill`: `attention-transfer` in expressions.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a layer that is no path, and for unknown options; in a run for a layer
 * that a network lacks.
 * @example
 * ```ts
 * const loss = attentionTransferDistillationLoss({ student: "layer3", teacher: "layer3" });
 * await distill({ teacher, student, data, loss: weightedSum([[1, crossEntropyDistillationLoss()], [1000, loss]]) });
 * ```
 */
export function attentionTransferDistillationLoss(layers: Layers): DistillationLoss {
  return ofLayers("attention-transfer", layers, (student, teacher) => attentionTransferLoss(student, teacher));
}

/** `attention-transfer` in expressions. */
export const attentionTransferEntry = defineEntry({
  name: "attention-transfer",
  help: "where a hidden image is large (Zagoruyko and Komodakis, 2017)",
  options: {
    student: described(layerPath(), "path of the student's layer, which gives [channels, height, width]"),
    teacher: described(v.optional(layerPath()), "path of the teacher's layer (default: the same)"),
  },
  create({ student, teacher = student }, context: LossContext) {
    const layers = { student, teacher };
    expectLayers("attention-transfer", context, { student: [student], teacher: [teacher] }, true);
    return attentionTransferDistillationLoss(layers);
  },
});
