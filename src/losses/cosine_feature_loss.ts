import { expectOptions } from "../checks.js";
import type { Module } from "../nn/module.js";
import { defineEntry } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { channelsOf, cosineDistance, expectAlike, LAYER_OPTIONS, type Layers, layersOf } from "./features.js";
import { type HintLossOptions, regressedDistillationLoss, regressedLoss, regressorBetween } from "./hint_loss.js";
import type { DistillationLoss, LossContext } from "./loss.js";

/**
 * The cosine of hidden outputs (DistilBERT: Sanh et al., 2019), a scalar: the mean over rows of 1 - cos(r(student),
 * teacher), for [rows, features] or [rows, channels, height, width], where each position is a row of channels. Without
 * a regressor r both have the same channels. A vector of zeros has cosine 0 and no gradient. No gradient flows to the
 * teacher.
 *
 * DistilBERT takes it with weight 1 between last hidden layers of one width; `F.cosine_embedding_loss` has a gradient
 * of about 1e8 at a vector of zeros.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH`, `BAD_ARGUMENT`, `NON_FINITE`.
 * @example
 * ```ts
 * const loss = cosineFeatureLoss(studentHidden, teacherHidden, { regressor: new Linear(128, 256) });
 * ```
 */
export function cosineFeatureLoss(
  studentFeatures: Tensor,
  teacherFeatures: Tensor,
  options: HintLossOptions = {},
): Tensor {
  return regressedLoss("cosineFeatureLoss", cosineDistance, { studentFeatures, teacherFeatures }, options);
}

/**
 * {@link cosineFeatureLoss} as a loss of `distill`: `cosine-feature` in expressions.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a layer that is no path, and for unknown options; in a run for a layer
 * that a network lacks.
 * @example
 * ```ts
 * const regressor = new Linear(256, 512);
 * const loss = cosineFeatureDistillationLoss({ student: "fc2", teacher: "fc3" }, { regressor });
 * await distill({ teacher, student, data, loss });
 * ```
 */
export function cosineFeatureDistillationLoss(layers: Layers, options: HintLossOptions = {}): DistillationLoss {
  expectOptions("cosineFeatureDistillationLoss", options, ["regressor"]);
  return regressedDistillationLoss("cosine-feature", cosineFeatureLoss, layers, options);
}

/** `cosine-feature` in expressions: with a regressor if the widths differ. */
export const cosineFeatureEntry = defineEntry({
  name: "cosine-feature",
  help: "1 - cosine of a hidden output, through a regressor if the widths differ (Sanh et al., 2019)",
  options: LAYER_OPTIONS,
  create(paths, context: LossContext): DistillationLoss {
    const layers = layersOf("cosine-feature", paths, context);
    expectAlike("cosine-feature", layers, context);
    const isSame = channelsOf(context, "student", layers.student) === channelsOf(context, "teacher", layers.teacher);
    const regressor: Module | undefined = isSame ? undefined : regressorBetween("cosine-feature", layers, context);
    return cosineFeatureDistillationLoss(layers, { regressor });
  },
});
