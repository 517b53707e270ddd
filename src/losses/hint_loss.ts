import * as v from "valibot";
import { expectOptions } from "../checks.js";
import { expectModule } from "../nn/expect_module.js";
import { Linear } from "../nn/linear.js";
import type { Module } from "../nn/module.js";
import { mseLoss } from "../ops/index.js";
import { boolean, defineEntry, described } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import {
  channelsOf,
  expectAlike,
  expectFeatures,
  expectSameChannels,
  LAYER_OPTIONS,
  type Layers,
  layersOf,
  ofLayers,
  positions,
  sameSize,
} from "./features.js";
import { expectFiniteOutput } from "./logits.js";
import type { DistillationLoss, LossContext } from "./loss.js";

/** The options of {@link hintLoss}. */
export interface HintLossOptions {
  /**
   * Maps the student's channels to the teacher's, such as `new Linear(128, 256)`; default: none, for equal channels.
   */
  regressor?: Module | undefined;
}

/**
 * Hints (Romero et al., FitNets, ICLR 2015), a scalar: the mean square of r(student) - teacher over all elements, for
 * hidden outputs [rows, features] or [rows, channels, height, width]. The regressor r reads rows of channels; for
 * images each position is one row, so that a Linear is a 1x1 convolution, and the larger image is averaged to the
 * smaller one's size. No gradient flows to the teacher.
 *
 * RepDistiller (hint.py, weight 100 beside the cross-entropy) and mdistiller train the regressor together with the
 * student, as here, although the paper trains the hint first. For images their regressor is a convolution with
 * BatchNorm and ReLU.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH`, `BAD_ARGUMENT`, `NON_FINITE`.
 * @example
 * ```ts
 * const regressor = new Linear(128, 256);
 * const loss = hintLoss(studentHidden, teacherHidden, { regressor });
 * ```
 */
export function hintLoss(studentFeatures: Tensor, teacherFeatures: Tensor, options: HintLossOptions = {}): Tensor {
  return regressedLoss("hintLoss", mseLoss, { studentFeatures, teacherFeatures }, options);
}

/** A loss of the student's rows of channels, through the regressor, and the teacher's. */
export function regressedLoss(
  name: string,
  compare: (mapped: Tensor, target: Tensor) => Tensor,
  features: { studentFeatures: Tensor; teacherFeatures: Tensor },
  options: HintLossOptions,
  expectRegressor: (argument: string, regressor: Module) => void = expectModule,
): Tensor {
  expectOptions(name, options, ["regressor"]);
  if (options.regressor !== undefined) expectRegressor(`${name}: regressor`, options.regressor);
  const { student, teacher } = sameSize(name, expectFeatures(name, features.studentFeatures, features.teacherFeatures));
  const rows = positions(student);
  const [mapped, target] = [options.regressor?.forward(rows) ?? rows, positions(teacher)];
  expectSameChannels(name, mapped, target);
  return expectFiniteOutput(name, compare(mapped, target), features);
}

/**
 * {@link hintLoss} as a loss of `distill`: `hint` in expressions. The regressor is trained with the student.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a layer that is no path, and for unknown options; in a run for a layer
 * that a network lacks.
 * @example
 * ```ts
 * const regressor = new Linear(256, 512);
 * const hint = hintDistillationLoss({ student: "fc2", teacher: "fc3" }, { regressor });
 * await distill({ teacher, student, data, loss: weightedSum([[1, crossEntropyDistillationLoss()], [100, hint]]) });
 * ```
 */
export function hintDistillationLoss(layers: Layers, options: HintLossOptions = {}): DistillationLoss {
  expectOptions("hintDistillationLoss", options, ["regressor"]);
  return regressedDistillationLoss("hint", hintLoss, layers, options);
}

/** A {@link regressedLoss} as a loss of `distill`. */
export function regressedDistillationLoss(
  name: string,
  lossOf: typeof hintLoss,
  layers: Layers,
  { regressor }: HintLossOptions,
): DistillationLoss {
  if (regressor !== undefined) expectModule("regressor", regressor);
  return ofLayers(name, layers, (student, teacher) => lossOf(student, teacher, { regressor }), {
    modules: regressor && { regressor },
    config: { regressor: regressor !== undefined },
  });
}

/** A regressor from the student's channels to the teacher's. */
export function regressorBetween(name: string, layers: Layers, context: LossContext): Linear {
  expectAlike(name, layers, context);
  return new Linear(channelsOf(context, "student", layers.student), channelsOf(context, "teacher", layers.teacher));
}

/** `hint` in expressions. */
export const hintEntry = defineEntry({
  name: "hint",
  help: "squared error of a hidden output, through a regressor (Romero et al., 2015)",
  options: {
    ...LAYER_OPTIONS,
    regressor: described(v.optional(boolean(), true), "whether a Linear makes the student's channels the teacher's"),
  },
  create({ regressor, ...paths }, context: LossContext): DistillationLoss {
    const layers = layersOf("hint", paths, context);
    return hintDistillationLoss(layers, {
      regressor: regressor ? regressorBetween("hint", layers, context) : undefined,
    });
  },
});
