import * as v from "valibot";
import { expectAtLeast0, expectSomeWeight, optionsOf } from "../checks.js";
import { bmm, clamp, smoothL1Loss, sqrt, transpose, unsqueeze } from "../ops/index.js";
import { defineEntry, described, nonNegative, parseOptions } from "../registry/index.js";
import { ones, Tensor } from "../tensor/tensor.js";
import { expectFeatures, flatRows, LAYER_OPTIONS, type Layers, layersOf, ofLayers, unit } from "./features.js";
import { expectFiniteOutput } from "./logits.js";
import type { DistillationLoss, LossContext } from "./loss.js";

/** The options of {@link rkdLoss}. */
export interface RkdLossOptions {
  /** Default 25. */
  distanceWeight?: number;
  /** Default 50. */
  angleWeight?: number;
}

const DEFAULTS = { distanceWeight: 25, angleWeight: 50 } as const;
const OPTIONS = {
  distanceWeight: described(v.optional(nonNegative(), DEFAULTS.distanceWeight), "weight of the distances"),
  angleWeight: described(v.optional(nonNegative(), DEFAULTS.angleWeight), "weight of the angles"),
};

/**
 * Relational knowledge distillation (Park et al., CVPR 2019), a scalar: distanceWeight smoothL1(d / mean d) +
 * angleWeight smoothL1(angles) between student and teacher. d are the Euclidean distances of all pairs of rows, at
 * least 1e-6, divided by their mean over the pairs of different rows, and 0 for a row with itself; angles are the
 * cosines at row i between the directions to rows j and k, for all i, j, k. The two terms are means over rows² and
 * rows³. Features are [rows, features] or [rows, channels, height, width], flattened; student and teacher may have
 * different widths. Memory grows with rows² features and rows³. A single row has no relations: 0.
 *
 * RepDistiller (RKD.py) has the same formula and weights, and reads pooled features. It expands |a - b|², which loses
 * digits; here distances are computed from differences. For equal rows its gradient has a size of 1e12; here a
 * direction of length 0 has no gradient.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH`, `BAD_ARGUMENT`, `NON_FINITE`.
 * @example
 * ```ts
 * const loss = rkdLoss(studentHidden, teacherHidden, { distanceWeight: 25, angleWeight: 50 });
 * ```
 */
export function rkdLoss(studentFeatures: Tensor, teacherFeatures: Tensor, options: RkdLossOptions = {}): Tensor {
  const name = "rkdLoss";
  const { distanceWeight, angleWeight } = optionsOf(name, DEFAULTS, options);
  expectAtLeast0("distanceWeight", distanceWeight);
  expectAtLeast0("angleWeight", angleWeight);
  const { student, teacher } = expectFeatures(name, studentFeatures, teacherFeatures);
  const [of, target] = [differences(flatRows(student)), differences(flatRows(teacher))];
  const rows = studentFeatures.shape[0];
  const distance = smoothL1Loss(distances(of, rows), distances(target, rows));
  const angle = smoothL1Loss(angles(of), angles(target));
  const loss = distance.mul(distanceWeight).add(angle.mul(angleWeight));
  return expectFiniteOutput(name, loss, { studentFeatures, teacherFeatures });
}

/** [rows, rows, features] */
function differences(x: Tensor): Tensor {
  return unsqueeze(x, 0).sub(unsqueeze(x, 1));
}

/** Of all pairs [rows, rows], their mean 1. */
function distances(between: Tensor, rows: number): Tensor {
  const others = othersOf(rows);
  const all = sqrt(clamp(between.mul(between).sum(2), MIN_SQUARE)).mul(others);
  return all.div(
    all
      .sum()
      .div(Math.max(1, rows * (rows - 1)))
      .add(rows === 1 ? 1 : 0),
  );
}

const MIN_SQUARE = 1e-12;

/** 1 for each pair of two rows, 0 for a row with itself. */
function othersOf(rows: number): Tensor {
  const { data, shape } = ones([rows, rows]);
  for (let i = 0; i < rows; i++) data[i * (rows + 1)] = 0;
  return new Tensor(data, shape);
}

/** Cosines [rows, rows, rows]. */
function angles(between: Tensor): Tensor {
  const directions = unit(between, 2);
  return bmm(directions, transpose(directions, 1, 2));
}

/**
 * {@link rkdLoss} as a loss of `distill`: `rkd` in expressions.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a layer that is no path, and for unknown options; in a run for a layer
 * that a network lacks.
 * @example
 * ```ts
 * const loss = rkdDistillationLoss({ student: "fc2", teacher: "fc3" });
 * await distill({ teacher, student, data, loss: weightedSum([[1, crossEntropyDistillationLoss()], [1, loss]]) });
 * ```
 */
export function rkdDistillationLoss(layers: Layers, options: RkdLossOptions = {}): DistillationLoss {
  const all = parseOptions("rkdDistillationLoss", OPTIONS, options);
  expectSomeWeight(all);
  return ofLayers("rkd", layers, (student, teacher) => rkdLoss(student, teacher, all), { config: all });
}

/** `rkd` in expressions. */
export const rkdEntry = defineEntry({
  name: "rkd",
  help: "distances and angles between the samples of a batch (Park et al., 2019)",
  options: { ...OPTIONS, ...LAYER_OPTIONS },
  create: ({ student, teacher, ...options }, context: LossContext) =>
    rkdDistillationLoss(layersOf("rkd", { student, teacher }, context), options),
});
