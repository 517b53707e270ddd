import * as v from "valibot";
import { argumentError, expectOptions, expectPositive, optionsOf } from "../checks.js";
import type { TaskName } from "../data/task_name.js";
import { DistilleryError } from "../errors.js";
import { binaryCrossEntropyWithLogits, l1Loss, mseLoss, smoothL1Loss } from "../ops/index.js";
import { defineEntry, described, positive } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { cosineDistance } from "./features.js";
import { expectFiniteOutput } from "./logits.js";
import type { DistillationLoss, Json, LossBatch, LossContext } from "./loss.js";

/** The options of a loss without options, so that options meant for another loss are refused. */
export type NoOptions = Readonly<Record<string, never>>;

/** The targets of a batch [n, outputs]; `BAD_ARGUMENT` if the data have classes. */
function targetsFor(loss: string, { targets }: LossBatch): Tensor {
  if (targets !== undefined && targets !== null) return targets;
  const text = "compares outputs with targets, and the data have classes: use cross-entropy, or data of another task";
  throw argumentError(loss, text);
}

/** The tasks of each loss: for outputs of other tasks its value would mean nothing. */
const TASKS = {
  mse: ["regression", "vectors"],
  mae: ["regression", "vectors"],
  huber: ["regression", "vectors"],
  bce: ["multi-label"],
  cosine: ["vectors"],
} as const satisfies Readonly<Record<string, readonly TaskName[]>>;

function targetLoss(
  name: keyof typeof TASKS,
  compute: (outputs: Tensor, targets: Tensor) => Tensor,
  options: Readonly<Record<string, Json>> = {},
): DistillationLoss {
  return {
    name,
    needsTeacher: false,
    tasks: TASKS[name],
    compute(batch) {
      const { logits: outputs } = batch.student;
      return { loss: expectFiniteOutput(name, compute(outputs, targetsFor(name, batch)), { outputs }), metrics: {} };
    },
    config: () => ({ name, ...options }),
  };
}

/** Refuses a student whose vectors have other dimensions than the targets, before a run begins. */
function expectTargetDimensions(name: keyof typeof TASKS, context: LossContext | undefined): void {
  if (context?.task !== "vectors") return;
  const [own] = context.tapShape("student", "");
  if (own === context.classes) return;
  const text = `${name} compares with the targets' ${context.classes} dimensions, and the student has ${own}`;
  const advice = '"vector-kd(projection=true)" trains a Linear between a student and its teacher';
  throw new DistilleryError("SHAPE_MISMATCH", `loss: ${text}: ${advice}`);
}

/**
 * The mean squared error of the student's outputs and the targets [rows, outputs], over all elements, as a loss of
 * `distill` and `trainTeacher`: `mse` in expressions. Targets of a table are standardised. `torch.nn.MSELoss`.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for any option.
 * @example
 * ```ts
 * await trainTeacher({ model, data, loss: mseDistillationLoss() });
 * ```
 */
export function mseDistillationLoss(options: NoOptions = {}): DistillationLoss {
  expectOptions("mseDistillationLoss", options, []);
  return targetLoss("mse", (outputs, targets) => mseLoss(outputs, targets));
}

/**
 * The mean absolute error, as {@link mseDistillationLoss}: `mae` in expressions. `torch.nn.L1Loss`.
 *
 * @throws DistilleryError as {@link mseDistillationLoss}.
 * @example
 * ```ts
 * await trainTeacher({ model, data, loss: maeDistillationLoss() });
 * ```
 */
export function maeDistillationLoss(options: NoOptions = {}): DistillationLoss {
  expectOptions("maeDistillationLoss", options, []);
  return targetLoss("mae", (outputs, targets) => l1Loss(outputs, targets));
}

const HUBER_DEFAULTS = { delta: 1 } as const;

/**
 * Huber's loss (1964), as {@link mseDistillationLoss}: d² / 2 for a difference d up to `delta` (default 1), delta (|d|
 * - delta / 2) beyond; `huber` in expressions. `torch.nn.HuberLoss`.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for options that are unknown or out of range.
 * @example
 * ```ts
 * await trainTeacher({ model, data, loss: huberDistillationLoss({ delta: 0.5 }) });
 * ```
 */
export function huberDistillationLoss(options: { delta?: number } = {}): DistillationLoss {
  const { delta } = optionsOf("huberDistillationLoss", HUBER_DEFAULTS, options);
  expectPositive("delta", delta);
  return targetLoss("huber", (outputs, targets) => smoothL1Loss(outputs, targets, { beta: delta }).mul(delta), {
    delta,
  });
}

/**
 * The binary cross-entropy of sigmoid(outputs) with targets of 0 and 1 [rows, labels], over all elements: `bce` in
 * expressions. `torch.nn.BCEWithLogitsLoss`.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for any option.
 * @example
 * ```ts
 * await trainTeacher({ model, data, loss: bceDistillationLoss() });
 * ```
 */
export function bceDistillationLoss(options: NoOptions = {}): DistillationLoss {
  expectOptions("bceDistillationLoss", options, []);
  return targetLoss("bce", (outputs, targets) => binaryCrossEntropyWithLogits(outputs, targets));
}

/**
 * The mean over rows of 1 - cos(outputs, targets), for vectors [rows, dimensions]: `cosine` in expressions. The cosine
 * of a vector of zeros is 0. `torch.nn.CosineEmbeddingLoss` with targets of 1.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for any option.
 * @example
 * ```ts
 * await trainTeacher({ model, data, loss: cosineDistillationLoss() });
 * ```
 */
export function cosineDistillationLoss(options: NoOptions = {}): DistillationLoss {
  expectOptions("cosineDistillationLoss", options, []);
  return targetLoss("cosine", (outputs, targets) => cosineDistance(outputs, targets));
}

/** A loss without options in expressions. */
function targetEntry(name: keyof typeof TASKS, help: string, make: () => DistillationLoss) {
  return defineEntry({
    name,
    help,
    tasks: TASKS[name],
    options: {},
    create: (_, context: LossContext) => {
      expectTargetDimensions(name, context);
      return make();
    },
  });
}

/** `mse` in expressions. */
export const mseEntry = targetEntry(
  "mse",
  "mean squared error of the outputs with the targets of a regression, or vectors",
  mseDistillationLoss,
);

/** `mae` in expressions. */
export const maeEntry = targetEntry(
  "mae",
  "mean absolute error of the outputs with the targets of a regression, or vectors",
  maeDistillationLoss,
);

/** `huber` in expressions. */
export const huberEntry = defineEntry({
  name: "huber",
  help: "Huber's loss of the outputs with the targets of a regression, or vectors (1964)",
  tasks: TASKS.huber,
  options: {
    delta: described(v.optional(positive(), HUBER_DEFAULTS.delta), "the difference up to which it is squared"),
  },
  create: (options, context: LossContext) => {
    expectTargetDimensions("huber", context);
    return huberDistillationLoss(options);
  },
});

/** `bce` in expressions. */
export const bceEntry = targetEntry(
  "bce",
  "binary cross-entropy of each output's sigmoid with labels of 0 and 1",
  bceDistillationLoss,
);

/** `cosine` in expressions. */
export const cosineEntry = targetEntry(
  "cosine",
  "1 - cosine of the outputs with target vectors",
  cosineDistillationLoss,
);
