import * as v from "valibot";
import { badArgument, expectNumber, expectOptions, expectShape, optionsOf } from "../checks.js";
import { Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { log, softplus } from "../ops/index.js";
import { defineEntry, described, positive } from "../registry/index.js";
import { ones, Parameter, type Tensor } from "../tensor/tensor.js";
import { channelsOf, expectAlike, LAYER_OPTIONS, type Layers, layersOf, ofLayers } from "./features.js";
import { regressedLoss } from "./hint_loss.js";
import type { DistillationLoss, LossContext } from "./loss.js";

const DEFAULTS = { initialVariance: 5 } as const;
const EPSILON = 1e-5;

/** The options of {@link vidLoss}. */
export interface VidLossOptions {
  /**
   * Predicts the teacher's channels, with a variance for each; default: the student's own channels, with variance 5.
   */
  regressor?: VidRegressor | undefined;
}

/**
 * Predicts the teacher's channels for {@link vidLoss}: three Linears with ReLU between them, the middle one as wide as
 * the teacher, and the variance of each channel. All its parameters have to be trained. The authors' regressor
 * (RepDistiller, mdistiller) has no biases.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for channels that are no whole numbers from 1.
 * @example
 * ```ts
 * const regressor = new VidRegressor(128, 256);
 * ```
 */
export class VidRegressor extends Module {
  readonly fc1: Linear;
  readonly fc2: Linear;
  readonly fc3: Linear;
  /** softplus of it, plus 1e-5, is the variance [outFeatures]. */
  readonly log_scale: Parameter;

  constructor(inFeatures: number, outFeatures: number, options: { initialVariance?: number } = {}) {
    super();
    const { initialVariance } = optionsOf("VidRegressor", DEFAULTS, options);
    expectNumber("initialVariance", initialVariance, (x) => x > EPSILON, "a number above 1e-5");
    this.fc1 = new Linear(inFeatures, outFeatures);
    this.fc2 = new Linear(outFeatures, outFeatures);
    this.fc3 = new Linear(outFeatures, outFeatures);
    this.log_scale = new Parameter(new Float32Array(outFeatures).fill(logScaleOf(initialVariance)));
  }

  override forward(x: Tensor): Tensor {
    return this.fc3.forward(this.fc2.forward(this.fc1.forward(x).relu()).relu());
  }
}

/**
 * Variational information distillation (Ahn et al., CVPR 2019), a scalar: the mean over all elements of ((r(student) -
 * teacher)² / v + log v) / 2, the negative logarithm of a normal density, where r predicts the teacher's channels and v
 * is a variance for each. Features are [rows, features] or [rows, channels, height, width], where each position is a
 * row of channels and the larger image is averaged to the smaller one's size. No gradient flows to the teacher.
 *
 * RepDistiller (VID.py, weight 1 a stage) trains v, as here; mdistiller keeps it in a plain list, so that it is never
 * trained.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH`, `BAD_ARGUMENT`, `NON_FINITE`.
 * @example
 * ```ts
 * const regressor = new VidRegressor(128, 256);
 * const loss = vidLoss(studentHidden, teacherHidden, { regressor });
 * ```
 */
export function vidLoss(studentFeatures: Tensor, teacherFeatures: Tensor, options: VidLossOptions = {}): Tensor {
  const name = "vidLoss";
  const unlikelihood = (predicted: Tensor, target: Tensor) => {
    const channels = target.shape[1];
    const scale = options.regressor?.log_scale ?? ones([channels]).mul(logScaleOf(DEFAULTS.initialVariance));
    expectShape(`${name}: log_scale`, scale.shape, [channels]);
    const variance = softplus(scale).add(EPSILON);
    const difference = predicted.sub(target);
    return difference.mul(difference).div(variance).add(log(variance)).mean().div(2);
  };
  return regressedLoss(name, unlikelihood, { studentFeatures, teacherFeatures }, options, expectVidRegressor);
}

function expectVidRegressor(argument: string, regressor: Module): void {
  if (!(regressor instanceof VidRegressor)) throw badArgument(argument, "a VidRegressor", regressor);
}

function logScaleOf(variance: number): number {
  const v = variance - EPSILON;
  // Above 40 they are equal, and above 709 expm1 overflows.
  return v > 40 ? v : Math.log(Math.expm1(v));
}

/**
 * {@link vidLoss} as a loss of `distill`: `vid` in expressions.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a layer that is no path, and for unknown options; in a run for a layer
 * that a network lacks.
 * @example
 * ```ts
 * const regressor = new VidRegressor(256, 512);
 * const loss = vidDistillationLoss({ student: "fc2", teacher: "fc3" }, { regressor });
 * await distill({ teacher, student, data, loss: weightedSum([[1, crossEntropyDistillationLoss()], [1, loss]]) });
 * ```
 */
export function vidDistillationLoss(layers: Layers, options: VidLossOptions = {}): DistillationLoss {
  expectOptions("vidDistillationLoss", options, ["regressor"]);
  const { regressor } = options;
  if (regressor !== undefined) expectVidRegressor("regressor", regressor);
  return ofLayers("vid", layers, (student, teacher) => vidLoss(student, teacher, { regressor }), {
    modules: regressor && { regressor },
  });
}

/** `vid` in expressions. */
export const vidEntry = defineEntry({
  name: "vid",
  help: "likelihood of the teacher's hidden output, its variance trained (Ahn et al., 2019)",
  options: {
    ...LAYER_OPTIONS,
    initialVariance: described(v.optional(positive(), DEFAULTS.initialVariance), "variance that training starts from"),
  },
  create({ initialVariance, ...paths }, context: LossContext): DistillationLoss {
    const layers = layersOf("vid", paths, context);
    expectAlike("vid", layers, context);
    const widths = [channelsOf(context, "student", layers.student), channelsOf(context, "teacher", layers.teacher)];
    return vidDistillationLoss(layers, { regressor: new VidRegressor(widths[0], widths[1], { initialVariance }) });
  },
});
