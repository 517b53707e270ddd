import * as v from "valibot";
import { argumentError, badArgument, expectOptions, expectShape, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { adaptiveAvgPool2d, clamp, permute, reshape, rsqrt, where } from "../ops/index.js";
import { described, text } from "../registry/index.js";
import { isSameShape } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import type { DistillationLoss, Json, LossBatch, LossContext } from "./loss.js";

/** Hidden outputs of student and teacher for one batch. */
interface Features {
  student: Tensor;
  /** A constant. */
  teacher: Tensor;
}

/**
 * Hidden outputs of student and teacher, [rows, features] or [rows, channels, height, width], checked; the teacher's
 * become constants.
 *
 * @throws DistilleryError `BAD_DTYPE`; `SHAPE_MISMATCH`, beginning with `name`, for other shapes and different numbers
 * of rows.
 */
export function expectFeatures(name: string, student: Tensor, teacher: Tensor, what = "Features"): Features {
  for (const [argument, tensor] of Object.entries({ [`student${what}`]: student, [`teacher${what}`]: teacher })) {
    expectTensor(`${name}: ${argument}`, tensor);
    const { shape } = tensor;
    if ((shape.length === 2 || shape.length === 4) && tensor.size > 0) continue;
    const text = `expected [rows, features] or [rows, channels, height, width], not empty, got [${shape.join(", ")}]`;
    throw new DistilleryError("SHAPE_MISMATCH", `${name}: ${argument}: ${text}`);
  }
  expectShape(`${name}: teacher${what}`, teacher.shape, [student.shape[0], ...teacher.shape.slice(1).fill(-1)]);
  return { student, teacher: teacher.detach() };
}

/** Each sample as one row: [rows, features]. */
export function flatRows(x: Tensor): Tensor {
  return x.shape.length === 2 ? x : reshape(x, [x.shape[0], x.size / x.shape[0]]);
}

/** Each position as one row of channels: [rows * height * width, channels]; [rows, features] is unchanged. */
export function positions(x: Tensor): Tensor {
  if (x.shape.length === 2) return x;
  const [rows, channels, height, width] = x.shape;
  return reshape(permute(x, [0, 2, 3, 1]), [rows * height * width, channels]);
}

/**
 * Both at the smaller height and width of the two, by {@link adaptiveAvgPool2d}; [rows, features] are unchanged.
 *
 * @throws DistilleryError `SHAPE_MISMATCH` if one has positions and the other has none.
 */
export function sameSize(name: string, { student, teacher }: Features): Features {
  const [a, b] = [student.shape, teacher.shape];
  if (a.length === 2 && b.length === 2) return { student, teacher };
  if (a.length !== b.length) {
    const text = `expected both as [rows, features] or both as [rows, channels, height, width], got [${a.join(", ")}] and [${b.join(", ")}]`;
    throw new DistilleryError("SHAPE_MISMATCH", `${name}: ${text}`);
  }
  const size = [Math.min(a[2], b[2]), Math.min(a[3], b[3])] as const;
  const pooled = (x: Tensor) => (isSameShape(x.shape.slice(2), size) ? x : adaptiveAvgPool2d(x, size));
  return { student: pooled(student), teacher: pooled(teacher) };
}

/** Refuses different numbers of channels; the `SHAPE_MISMATCH` says how to fix it. */
export function expectSameChannels(name: string, student: Tensor, teacher: Tensor): void {
  const [own, wanted] = [student.shape[1], teacher.shape[1]];
  if (own === wanted) return;
  const text = `expected the teacher's ${wanted} channels, got ${own}: pass a regressor of ${wanted} outputs`;
  throw new DistilleryError("SHAPE_MISMATCH", `${name}: studentFeatures: ${text}`);
}

/**
 * x divided by its Euclidean norm along an axis. A vector with a norm below 1e-12 has no direction: the result and its
 * gradient are 0.
 */
export function unit(x: Tensor, dim = 1): Tensor {
  const squares = x.mul(x).sum(dim, true);
  return x.mul(where(squares.gt(TINY), rsqrt(clamp(squares, TINY)), 0));
}

const TINY = 1e-24;

/** The mean over rows, or positions of rows, of 1 - cos(a, b). */
export function cosineDistance(a: Tensor, b: Tensor): Tensor {
  return unit(a).mul(unit(b)).sum(1).mean().neg().add(1);
}

/** A layer, as an option of an entry. */
export function layerPath() {
  return text("the path of a layer, as layer3");
}

/** The layers that a loss reads, as options of its entry. */
export const LAYER_OPTIONS = {
  student: described(v.optional(layerPath()), "path of the student's layer (default: what its last layer reads)"),
  teacher: described(v.optional(layerPath()), "path of the teacher's layer (default: what its last layer reads)"),
};

/** The paths of the layers that a loss reads. */
export interface Layers {
  student: string;
  teacher: string;
}

/**
 * The layers that were named, or by default the inputs of the networks' last layers.
 *
 * @throws DistilleryError `BAD_ARGUMENT` that begins with `name`, as {@link expectLayers}.
 */
export function layersOf(
  name: string,
  paths: { student?: string | undefined; teacher?: string | undefined },
  context: LossContext,
): Layers {
  const layers = {
    student: paths.student ?? context.features("student"),
    teacher: paths.teacher ?? context.features("teacher"),
  };
  expectLayers(name, context, { student: [layers.student], teacher: [layers.teacher] });
  return layers;
}

const IMAGE = "[channels, height, width]";

/**
 * Refuses a layer that gives neither [features] nor [channels, height, width], or with `isImage` no image;
 * `BAD_ARGUMENT` that names it.
 */
export function expectLayers(
  name: string,
  context: LossContext,
  layers: Readonly<Record<"student" | "teacher", readonly string[]>>,
  isImage = false,
): void {
  const given = (["student", "teacher"] as const).flatMap((network) =>
    layers[network].map((path) => ({ network, path, shape: context.tapShape(network, path) })),
  );
  const wrong = given.find(({ shape: { length } }) => length !== 3 && (length !== 1 || isImage));
  if (wrong === undefined) return;
  const { network, path, shape } = wrong;
  const text = `expected the path of a layer that gives ${isImage ? "" : "[features] or "}${IMAGE}`;
  throw argumentError(name, `${network}: ${text}, got ${show(path)}, which gives [${shape.join(", ")}]`);
}

/** A loss of hidden outputs as a loss of `distill`; `config` is what its value depends on besides the layers. */
export function ofLayers(
  name: string,
  layers: Layers,
  lossOf: (student: Tensor, teacher: Tensor, batch: LossBatch) => Tensor,
  {
    modules = {},
    config,
    tasks,
  }: Pick<DistillationLoss, "modules" | "tasks"> & { config?: Readonly<Record<string, Json>> } = {},
): DistillationLoss {
  expectOptions("layers", layers, ["student", "teacher"]);
  for (const network of ["student", "teacher"] as const) {
    if (typeof layers[network] !== "string") throw badArgument(`layers.${network}`, "a layer's path", layers[network]);
  }
  return {
    name,
    needsTeacher: true,
    needsTeacherLogits: false,
    taps: { student: [layers.student], teacher: [layers.teacher] },
    modules,
    tasks,
    compute(batch) {
      const { student, teacher } = batch;
      return { loss: lossOf(student.taps[layers.student], teacher.taps[layers.teacher], batch), metrics: {} };
    },
    config: () => ({ name, ...layers, ...config }),
  };
}

/**
 * Refuses a pair of layers of which one has outputs [features] and the other [channels, height, width]; the
 * `BAD_ARGUMENT` names both.
 */
export function expectAlike(name: string, layers: Layers, context: LossContext): void {
  const [student, teacher] = (["student", "teacher"] as const).map((network) =>
    context.tapShape(network, layers[network]),
  );
  if (student.length === teacher.length) return;
  const text = `expected layers that both give [features] or both [channels, height, width]`;
  const got = `student ${show(layers.student)} gives [${student.join(", ")}], teacher ${show(layers.teacher)} [${teacher.join(", ")}]`;
  throw argumentError(name, `${text}, got: ${got}`);
}

/** The channels of a layer's output: the length of [features], the first of [channels, height, width]. */
export function channelsOf(context: LossContext, network: "student" | "teacher", path: string): number {
  return context.tapShape(network, path)[0];
}
