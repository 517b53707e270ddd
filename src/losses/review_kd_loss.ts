import * as v from "valibot";
import { argumentError, badArgument, expectInteger, expectList, expectOptions, expectShape, show } from "../checks.js";
import { BatchNorm2d } from "../nn/batch_norm.js";
import { Conv2d } from "../nn/conv.js";
import { adaptiveAvgPool2d } from "../nn/functional.js";
import { Sequential } from "../nn/layers.js";
import { Module } from "../nn/module.js";
import { expectPaths } from "../nn/taps.js";
import { Upsample } from "../nn/upsample.js";
import { cat, sigmoid } from "../ops/index.js";
import { boolean, defineEntry, described, list } from "../registry/index.js";
import { rand } from "../tensor/random.js";
import { numel } from "../tensor/shape.js";
import type { Tensor } from "../tensor/tensor.js";
import { channelsOf, expectFeatures, expectLayers, layerPath } from "./features.js";
import { expectFiniteOutput } from "./logits.js";
import type { DistillationLoss, LossContext } from "./loss.js";

const MAX_CHANNELS = 512;
/** Rows and columns to which the difference is averaged, each with half of the previous weight. */
const POOLED = [4, 2, 1];

/**
 * One stage of {@link ReviewFusion}: fuses the student's maps with those of the deeper stages, and maps them to the
 * teacher's.
 */
class FusionStage extends Module {
  readonly conv1: Sequential;
  readonly conv2: Sequential;
  /** The weights of the stage's own maps and of the deeper ones at each position; the deepest stage has none. */
  readonly att_conv: Sequential | null;

  constructor(student: number, middle: number, teacher: number, isDeepest: boolean) {
    super();
    const [first, second] = [
      new Conv2d(student, middle, 1, { bias: false }),
      new Conv2d(middle, teacher, 3, { padding: 1, bias: false }),
    ];
    this.conv1 = new Sequential(first, new BatchNorm2d(middle));
    this.conv2 = new Sequential(second, new BatchNorm2d(teacher));
    this.att_conv = isDeepest ? null : new Sequential(new Conv2d(2 * middle, 2, 1));
    // kaiming_uniform(a = 1), drawn after the layers' own values, as the authors' code does.
    for (const { weight } of [first, second]) {
      const bound = Math.sqrt(3 / (weight.size / weight.shape[0]));
      weight.data.set(rand(weight.shape, -bound, bound).data);
    }
  }

  /** The maps for a shallower stage, of the size of `like`. */
  join(own: Tensor, deeper: Tensor | null, like: Tensor): Tensor {
    const x = this.conv1.forward(own);
    if (this.att_conv === null || deeper === null) return resized(x, like);
    const y = resized(deeper, x);
    const shares = sigmoid(this.att_conv.forward(cat([x, y], 1)));
    const [ofOwn, ofDeeper] = [shares.slice(0, 1, { dim: 1 }), shares.slice(1, 2, { dim: 1 })];
    return resized(x.mul(ofOwn).add(y.mul(ofDeeper)), like);
  }

  override forward(joined: Tensor): Tensor {
    return this.conv2.forward(joined);
  }
}

/**
 * Maps the student's maps to the teacher's for {@link reviewKdLoss}, from the deepest stage to the first:
 * attention-based fusion (Chen et al., 2021), with the state dict keys of the authors' code. All its parameters have to
 * be trained.
 *
 * @throws DistilleryError `SHAPE_MISMATCH` for lists of channels of different lengths.
 * @example
 * ```ts
 * const fusion = new ReviewFusion([16, 32], [64, 128]); // two stages of student and teacher
 * fusion.forward(randn([2, 16, 8, 8]), randn([2, 32, 4, 4])).shape; // [2, 64, 8, 8], the first stage
 * ```
 */
export class ReviewFusion extends Module {
  /** Deepest first. */
  readonly abfs: readonly FusionStage[];

  /**
   * @param studentChannels and `teacherChannels`: of each stage, deepest last; the first one's deepest, at most 512, is
   * the width between.
   */
  constructor(
    readonly studentChannels: readonly number[],
    readonly teacherChannels: readonly number[],
  ) {
    super();
    for (const [name, channels] of Object.entries({ studentChannels, teacherChannels })) {
      for (const [i, n] of expectList(name, channels).entries()) expectInteger(`${name}[${i}]`, n, 1);
    }
    expectShape("ReviewFusion: teacherChannels", [teacherChannels.length], [studentChannels.length]);
    const last = studentChannels.length - 1;
    const middle = Math.min(MAX_CHANNELS, studentChannels[last]);
    const stages = studentChannels.map((own, i) => new FusionStage(own, middle, teacherChannels[i], i === last));
    this.abfs = stages.reverse();
  }

  /** The first stage's maps as the teacher's, at the student's own sizes. */
  override forward(...maps: Tensor[]): Tensor {
    return this.fuse(maps, maps)[0];
  }

  /**
   * The student's maps of each stage, deepest last, mapped to the teacher's: with the teacher's channels, and as high
   * and wide as those of `like`. @internal
   */
  fuse(maps: readonly Tensor[], like: readonly Tensor[]): Tensor[] {
    expectShape("ReviewFusion: maps", [maps.length, like.length], [this.abfs.length, this.abfs.length]);
    let joined: Tensor | null = null;
    const fused: Tensor[] = [];
    for (const [i, stage] of this.abfs.entries()) {
      const place = maps.length - 1 - i;
      joined = stage.join(maps[place], joined, like[place]);
      fused.unshift(stage.forward(joined));
    }
    return fused;
  }
}

/** The options of {@link reviewKdLoss}. */
export interface ReviewKdLossOptions {
  /** Maps the student's maps to the teacher's; default: none, for maps of equal shapes. */
  fusion?: ReviewFusion | undefined;
}

/**
 * Knowledge review (Chen et al., CVPR 2021), a scalar: the sum over the stages of the distance between the student's
 * maps, each fused with those of the deeper stages, and the teacher's. For one stage that is a weighted mean of mean
 * squares: of the difference d, and of d averaged to 4x4, 2x2 and 1x1 positions where these are smaller than the maps,
 * with weights 1, 1/2, 1/4 and 1/8. Maps are listed from the first stage to the deepest, [rows, channels, height,
 * width] of any sizes, or [rows, features] as one position. No gradient flows to the teacher.
 *
 * The authors' code has weight 1 and a warm-up of 20 epochs beside the cross-entropy (`review-kd(warmup=20)`). It reads
 * the maps before the last ReLU of a stage; here that depends on the layers that are named. Maps need not be square.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for lists of other lengths, `BAD_DTYPE`, `SHAPE_MISMATCH`, `NON_FINITE`.
 * @example
 * ```ts
 * const fusion = new ReviewFusion([16, 32], [64, 128]);
 * const loss = reviewKdLoss([studentMaps1, studentMaps2], [teacherMaps1, teacherMaps2], { fusion });
 * ```
 */
export function reviewKdLoss(
  studentFeatures: readonly Tensor[],
  teacherFeatures: readonly Tensor[],
  options: ReviewKdLossOptions = {},
): Tensor {
  const name = "reviewKdLoss";
  expectOptions(name, options, ["fusion"]);
  const { fusion } = options;
  expectFusion(name, fusion);
  expectStages(name, studentFeatures, teacherFeatures);
  const pairs = studentFeatures.map((features, i) =>
    expectFeatures(`${name}: stage ${i}`, features, teacherFeatures[i]),
  );
  const [own, wanted] = [pairs.map(({ student }) => asMaps(student)), pairs.map(({ teacher }) => asMaps(teacher))];
  const fused = fusion?.fuse(own, wanted) ?? own;
  const losses = fused.map((maps, i) => {
    expectShape(`${name}: stage ${i}: studentFeatures`, maps.shape, wanted[i].shape);
    return pyramid(maps.sub(wanted[i]));
  });
  const inputs = pairs.flatMap(({ student, teacher }, i) => [
    [`stage ${i}: studentFeatures`, student] as const,
    [`stage ${i}: teacherFeatures`, teacher] as const,
  ]);
  return expectFiniteOutput(
    name,
    losses.reduce((sum, loss) => sum.add(loss)),
    Object.fromEntries(inputs),
  );
}

function expectFusion(name: string, fusion: unknown): void {
  if (fusion === undefined || fusion instanceof ReviewFusion) return;
  throw badArgument(`${name}: fusion`, "a ReviewFusion", fusion);
}

function expectStages(name: string, student: readonly Tensor[], teacher: readonly Tensor[]): void {
  for (const [argument, value] of Object.entries({ studentFeatures: student, teacherFeatures: teacher })) {
    if (Array.isArray(value) && value.length > 0) continue;
    throw badArgument(`${name}: ${argument}`, "a list of tensors, one a stage", value);
  }
  if (student.length === teacher.length) return;
  const text = `expected as many stages of the teacher as of the student, ${student.length}, got ${teacher.length}`;
  throw argumentError(name, `teacherFeatures: ${text}`);
}

/** The mean square of a difference, at its own size and averaged to few positions. */
function pyramid(difference: Tensor): Tensor {
  const square = (x: Tensor) => x.mul(x).mean();
  let [loss, weight, weights] = [square(difference), 1, 1];
  const size = Math.min(difference.shape[2], difference.shape[3]);
  for (const positions of POOLED.filter((n) => n < size)) {
    weight /= 2;
    weights += weight;
    loss = loss.add(square(adaptiveAvgPool2d(difference, positions)).mul(weight));
  }
  return loss.div(weights);
}

/** [rows, features] as maps of one position. */
function asMaps(x: Tensor): Tensor {
  return x.shape.length === 4 ? x : x.reshape([...x.shape, 1, 1]);
}

/** Maps as high and wide as others, by the nearest position. */
function resized(x: Tensor, like: Tensor): Tensor {
  const [height, width] = like.shape.slice(2);
  if (x.shape[2] === height && x.shape[3] === width) return x;
  return new Upsample({ size: [height, width] }).forward(x);
}

/** The layers that {@link reviewKdDistillationLoss} reads, from the first stage to the deepest. */
export interface ReviewLayers {
  student: readonly string[];
  teacher: readonly string[];
}

/**
 * {@link reviewKdLoss} as a loss of `distill`: `review-kd` in expressions. The fusion is trained with the student.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for layers that are no paths, and for what is no fusion; in a run as
 * {@link reviewKdLoss}.
 * @example
 * ```ts
 * const fusion = new ReviewFusion([16, 32], [64, 128]);
 * const layers = { student: ["layer1", "layer2"], teacher: ["layer1", "layer2"] };
 * await distill({ teacher, student, data, loss: reviewKdDistillationLoss(layers, { fusion }) });
 * ```
 */
export function reviewKdDistillationLoss(layers: ReviewLayers, options: ReviewKdLossOptions = {}): DistillationLoss {
  expectOptions("reviewKdDistillationLoss", options, ["fusion"]);
  expectOptions("layers", layers, ["student", "teacher"]);
  const name = "review-kd";
  const { fusion } = options;
  expectFusion("reviewKdDistillationLoss", fusion);
  const { student, teacher } = layers;
  expectPaths("layers.student", student);
  expectPaths("layers.teacher", teacher);
  return {
    name,
    needsTeacher: true,
    needsTeacherLogits: false,
    taps: { student, teacher },
    modules: fusion === undefined ? {} : { fusion },
    compute(batch) {
      const ofStudent = student.map((path) => batch.student.taps[path]);
      const ofTeacher = teacher.map((path) => batch.teacher.taps[path]);
      return { loss: reviewKdLoss(ofStudent, ofTeacher, { fusion }), metrics: {} };
    },
    config: () => ({ name, student, teacher, fusion: fusion !== undefined }),
  };
}

const paths = () => list(layerPath(), "paths of layers, from the first stage to the deepest, as [layer1, layer2]");

/** `review-kd` in expressions. */
export const reviewKdEntry = defineEntry({
  name: "review-kd",
  help: "feature maps of several stages, each fused with the deeper ones (Chen et al., 2021)",
  options: {
    student: described(paths(), "paths of the student's layers, from the first stage to the deepest"),
    teacher: described(
      v.optional(paths()),
      "paths of the teacher's, one for each of the student's (default: the same)",
    ),
    features: described(v.optional(boolean(), true), "whether what the last layers read follows as the deepest stage"),
  },
  create({ student, teacher = student, features }, context: LossContext): DistillationLoss {
    if (student.length !== teacher.length) {
      const text = `expected as many layers of the teacher as of the student, ${student.length}, got ${teacher.length}`;
      throw argumentError("review-kd", `teacher: ${text}`);
    }
    const stages = (network: "student" | "teacher", given: readonly string[]) =>
      features ? [...given, context.features(network)] : given;
    const layers = { student: stages("student", student), teacher: stages("teacher", teacher) };
    expectLayers("review-kd", context, layers);
    for (const network of ["student", "teacher"] as const) expectDeepening(context, network, layers[network]);
    const channels = (network: "student" | "teacher") =>
      layers[network].map((path) => channelsOf(context, network, path));
    return reviewKdDistillationLoss(layers, { fusion: new ReviewFusion(channels("student"), channels("teacher")) });
  },
});

/**
 * Refuses a layer whose maps have more positions than those of an earlier one: then the list is not in the order from
 * the first stage to the deepest.
 */
function expectDeepening(context: LossContext, network: "student" | "teacher", paths: readonly string[]): void {
  const counts = paths.map((path) => numel(context.tapShape(network, path).slice(1)));
  const at = counts.findIndex((count, i) => i > 0 && count > counts[i - 1]);
  if (at < 0) return;
  const text = `expected layers from the first stage to the deepest, but ${show(paths[at])} has more positions than ${show(paths[at - 1])}`;
  throw argumentError("review-kd", `${network}: ${text}`);
}
